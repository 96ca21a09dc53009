# SPDX-License-Identifier: MIT
"""`python -m buildernet.builder_hub`."""

import sys

from buildernet.builder_hub.cli import main

sys.exit(main())
