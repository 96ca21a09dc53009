# SPDX-License-Identifier: MIT
"""Takes users' and peers' orders, hands them to the builder, the other nodes and the archive."""
