# SPDX-License-Identifier: GPL-2.0-only
"""Stand-in for BitBake's `prserv`, which the `bitbake-setup` wheel does not carry."""
