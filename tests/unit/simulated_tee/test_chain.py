# SPDX-License-Identifier: MIT
"""The public simulated chain: whole, verifiable by who names its root, refused by everyone else."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from buildernet.attestation.errors import VerificationError
from buildernet.attestation.registers import Digest48, Register
from buildernet.attestation.verify import INTEL, TrustAnchors, verify_quote
from tests.support.event_logs import encode_log
from tests.support.minted_chain import Domain
from tests.support.simulated_mount import EVENTS, MRTD
from tests.support.simulated_tee.chain import collateral_at, load_chain, save_chain
from tests.support.simulated_tee.platform import SimulatedPlatform, domain_of_boot

if TYPE_CHECKING:
    from pathlib import Path

DATA = bytes(range(64))


def verify(quote: bytes, *, at: int, roots: TrustAnchors = INTEL):
    return verify_quote(
        quote,
        collateral=collateral_at(load_chain(), at),
        at=at,
        report_data=DATA,
        measurements=None,
        roots=roots,
    )


def test_quote_of_today_is_verified_under_the_simulated_root():
    chain, now = load_chain(), int(time.time())
    domain = domain_of_boot(encode_log(EVENTS), Digest48.parse(MRTD))
    quote = SimulatedPlatform(chain, domain, padded_bytes=8000).quote(DATA)
    verified = verify(quote, at=now, roots=TrustAnchors(roots=(chain.root.der,)))
    assert verified.registers[Register.MRTD].hex() == MRTD
    assert verified.status == "UpToDate"


def test_simulated_root_is_not_trusted_by_default():
    quote = SimulatedPlatform(load_chain(), Domain()).quote(DATA)
    with pytest.raises(VerificationError, match="step B"):
        verify(quote, at=int(time.time()))


def test_every_certificate_says_simulated():
    chain = load_chain()
    for issuer in (chain.root, chain.authority, chain.pck, chain.tcb_signer):
        assert "SIMULATED" in issuer.certificate.subject.rfc4514_string()


def test_chain_survives_saving(tmp_path: Path):
    chain = load_chain()
    save_chain(chain, tmp_path)
    again = load_chain(tmp_path)
    assert replace(again, attestation_key=chain.attestation_key).pck_chain == chain.pck_chain
    assert again.attestation_key.private_numbers() == chain.attestation_key.private_numbers()
