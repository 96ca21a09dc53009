# SPDX-License-Identifier: MIT
"""Limits of builder-hub, each with its reason."""

from typing import Final

MAX_REQUEST_BYTES: Final = 1 << 20
"""Seed 000, MAX_REQUEST_SIZE. Azure's evidence in hexadecimal has 120 KB, a configuration 20 KB."""

MAX_RESPONSE_BYTES: Final = 10 << 20
"""Seed 000, MAX_RESPONSE_SIZE."""

MAX_CERTIFICATE_BYTES: Final = 64 * 1024
"""A chain of Let's Encrypt has 6 KB; peers read all certificates every 30 s."""

MAX_CERTIFICATES: Final = 8
"""Certificates in one chain; public ones have up to four."""

MAX_JSON_DEPTH: Final = 64
"""Configuration documents nest four deep."""

CHALLENGE_SECONDS: Final = 300
"""Validity of a challenge: a node signs it at once; the reference retries for 100 s."""

KEPT_REGISTRATIONS: Final = 256
"""Past registrations of one service of one builder; certificates change daily."""

KEPT_EVIDENCE: Final = 24
"""Past evidence of one builder, up to 60 KB each."""

MAX_PAGE: Final = 1000
"""Rows of one answer of a list route."""

DEFAULT_PAGE: Final = 100

PING_TIMEOUT_S: Final = 2.0
"""Within the interval of a load balancer's health check (5 s in the reference's HAProxy)."""

CONNECT_TIMEOUT_S: Final = 5.0
"""A database that accepts no connection within this is down."""

COMMAND_TIMEOUT_S: Final = 10.0
"""No statement here takes more than milliseconds; below the request's own limit."""

SQLITE_BUSY_S: Final = 10.0
"""What a `migrate` or a second process may hold the file."""

MAX_BUILDERS: Final = 10_000
"""Active builders, all of which nodes and peers are told of: BuilderNet has some tens."""
