# SPDX-License-Identifier: MIT
"""Evidence in, claims out: registers, event logs and (later) quotes.

Does no I/O of its own: bytes in, typed values out. Importing this package imports nothing else, so
that `buildernet.measure` can use `registers` and `event_log` with the standard library alone.
"""
