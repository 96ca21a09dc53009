# SPDX-License-Identifier: MIT
"""A trust domain that is not one: configfs-tsm as a FUSE file system, quotes under a public key.

For tests and the development image, never for production: the keys in `public-chain/` are in this
source tree, so everyone can sign whatever they like. What is real is the structure, and that the
quoted registers follow from the firmware that booted (MRTD) and from its event log (RTMR0 to
RTMR2).

Run it with `python -m tests.support.simulated_tee --help`. Needs mfusepy, cryptography, buildernet
and, beside this folder, `minted_chain.py` and `minted_pki.py`.

Reference: docs/decisions/0012-simulated-tee.md; specs/attestation.md sections 1 and 2.6.
"""
