# SPDX-License-Identifier: MIT
"""Layer 0: errors, configuration, logging. Standard library only, imported by every layer above."""
