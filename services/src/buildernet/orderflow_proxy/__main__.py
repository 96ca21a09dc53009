# SPDX-License-Identifier: MIT
"""`python -m buildernet.orderflow_proxy`."""

import sys

from buildernet.orderflow_proxy.cli import main

sys.exit(main())
