# SPDX-License-Identifier: MIT
"""The software of a BuilderNet node; see ARCHITECTURE.md for the layers below this package."""
