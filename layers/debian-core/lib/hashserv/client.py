# SPDX-License-Identifier: GPL-2.0-only
"""Stand-in for `hashserv.client`: the name BitBake refers to, refusing like its package."""

from . import create_client

Client = create_client
