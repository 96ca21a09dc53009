# SPDX-License-Identifier: MIT
"""Layer 1: what every HTTP service shares: the bounded server, health, metrics, readiness."""
