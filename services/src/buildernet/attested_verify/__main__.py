# SPDX-License-Identifier: MIT
"""`python3 -m buildernet.attested_verify`."""

import sys

from buildernet.attested_verify.cli import main

sys.exit(main())
