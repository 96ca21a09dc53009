# SPDX-License-Identifier: MIT
"""Command `buildernet-node`: the small things a node does for itself. Standard library only.

It runs early in the boot, on a processor that may be emulated, and `firewall` runs at build time
under the build host's Python: so nothing heavy is imported, and each subcommand imports its own.
"""
