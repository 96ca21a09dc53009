# SPDX-License-Identifier: MIT
"""The five kinds of request that carry orders: parsed, checked, completed, serialised, keyed.

`parser.OrderParser` is the way in. Nothing here does I/O or knows queues.
"""
