# SPDX-License-Identifier: MIT
"""Pinned Debian packages: lock files, their resolution with apt, and unpacking.

Standard library only, used both by BitBake's classes and by scripts/update-pins:

- ``lock``: the lock file; ``requests``: what a set asks for.
- ``apt``: from requests to a lock; ``moves``: what a refresh changes.
- ``settle``: what to do when a pinned package can no longer be had.
- ``unpack``: a package's files into a folder.
"""
