# SPDX-License-Identifier: MIT
"""The redistribution archive, outside the TEE: stores the orders that nodes received."""
