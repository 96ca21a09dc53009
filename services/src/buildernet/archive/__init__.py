# SPDX-License-Identifier: MIT
"""The redistribution archive: takes what the nodes received, keeps it, answers questions about it.

It runs outside the TEE. The engine is ClickHouse's, in this process (chDB) or on a server.
"""
