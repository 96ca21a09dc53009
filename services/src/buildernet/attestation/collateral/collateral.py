# SPDX-License-Identifier: MIT
"""Collateral: what Intel publishes about platforms, kept as the bytes that were signed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collateral:
    """Everything beside the quote that a verification needs; nothing in it is believed yet."""

    root_ca_crl: bytes
    """DER."""
    pck_crl: bytes
    """DER; of the CA that issued the platform's PCK certificate."""
    pck_crl_issuer_chain: bytes
    """PEM: PCK CA, root."""
    tcb_info: bytes
    """JSON value exactly as signed."""
    tcb_info_signature: bytes
    """r || s, 64 bytes."""
    tcb_info_issuer_chain: bytes
    """PEM: TCB signing certificate, root."""
    qe_identity: bytes
    """JSON value exactly as signed."""
    qe_identity_signature: bytes
    """r || s, 64 bytes."""
    qe_identity_issuer_chain: bytes
    """PEM: TCB signing certificate, root."""
    pck_certificate_chain: bytes | None = None
    """PEM: leaf, PCK CA, root; used only for quotes that do not carry their chain."""
