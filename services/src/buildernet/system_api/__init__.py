# SPDX-License-Identifier: MIT
"""The operator API of a node: health, events and logs, what was measured at boot."""
