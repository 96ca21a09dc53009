# SPDX-License-Identifier: MIT
"""Versions of the database's schema; `migrate.py` applies them."""
