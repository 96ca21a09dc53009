# SPDX-License-Identifier: MIT
"""The registry of a network, outside the TEE: builders, measurements, credentials, configuration."""
