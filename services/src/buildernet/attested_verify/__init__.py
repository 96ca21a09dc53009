# SPDX-License-Identifier: MIT
"""Command `attested-verify`: check saved evidence offline and explain the result step by step."""
