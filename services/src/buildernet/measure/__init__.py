# SPDX-License-Identifier: MIT
"""Expected registers of an image, computed from its files alone.

Runs on the host, inside BitBake and for third parties, with the standard library alone. Bytes in,
typed values out; only `cli.py` and `source.py` open files. The order of reading: `prediction.py`
(which events, in which order), one file per register, `fold.py` (the only place that extends),
`documents.py` (what is published), `explain.py` (what a boot did, beside what was expected).

Reference: measurements/README.md, docs/decisions/0006 and 0007.
"""
