# SPDX-License-Identifier: MIT
"""Attested TLS: the proxy, its clients, and the offline verifier."""
