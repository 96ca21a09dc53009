# SPDX-License-Identifier: MIT
"""Run the command from a source tree: ``python -m buildernet.measure``."""

import sys

from buildernet.measure.cli import main

sys.exit(main())
