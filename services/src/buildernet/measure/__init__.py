# SPDX-License-Identifier: MIT
"""Placeholder docstring replaced by the package owner."""
