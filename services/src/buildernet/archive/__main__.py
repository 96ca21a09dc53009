# SPDX-License-Identifier: MIT
"""`python -m buildernet.archive`."""

import sys

from buildernet.archive.cli import main

sys.exit(main())
