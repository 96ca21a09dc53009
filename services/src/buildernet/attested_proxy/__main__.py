# SPDX-License-Identifier: MIT
"""`python -m buildernet.attested_proxy`."""

import sys

from buildernet.attested_proxy.cli import main

sys.exit(main())
