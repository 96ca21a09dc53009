# SPDX-License-Identifier: MIT
"""Run the command from a source tree: ``python -m buildernet.node``."""

import sys

from buildernet.node.cli import main

sys.exit(main())
