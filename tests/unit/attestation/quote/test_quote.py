# SPDX-License-Identifier: MIT
"""Quotes parse field by field; damage of any kind is our error and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.errors import QuoteFormatError
from buildernet.attestation.quote import (
    MAX_QUOTE_BYTES,
    BodyType,
    CertificationType,
    TDReport15,
    TDReport15Ex,
    parse_quote,
)
from buildernet.attestation.registers import TDX_REGISTERS
from tests.support.minted_chain import Domain, Enclave, shared_chain

KINDS = [
    (Domain(), BodyType.TD_1_0),
    (Domain(version=5), BodyType.TD_1_0),
    (Domain(version=5, body_type=3), BodyType.TD_1_5),
    (Domain(version=5, body_type=4, extended=bytes(range(237))), BodyType.TD_1_5_EX),
]
QUOTES = [shared_chain().quote(domain) for domain, _ in KINDS]


@pytest.mark.parametrize(("domain", "kind"), KINDS)
def test_every_field_is_at_its_place(domain: Domain, kind: BodyType) -> None:
    domain = replace(
        domain,
        tee_tcb_svn=bytes(range(16)),
        mrseam=b"\1" * 48,
        mrsignerseam=b"\2" * 48,
        seam_attributes=3,
        td_attributes=1 << 63,
        xfam=5,
        mrtd=b"\6" * 48,
        mr_config_id=b"\7" * 48,
        mr_owner=b"\x08" * 48,
        mr_owner_config=b"\x09" * 48,
        rtmrs=(b"\x0a" * 48, b"\x0b" * 48, b"\x0c" * 48, b"\x0d" * 48),
        tee_tcb_svn2=bytes(range(16, 32)),
        mr_service_td=b"\x0e" * 48,
    )
    quote = parse_quote(shared_chain().quote(domain))
    body = quote.body
    assert quote.body_type is kind
    assert quote.signed == domain.signed()
    for name in ("tee_tcb_svn", "mrseam", "mrsignerseam", "seam_attributes", "td_attributes",
                 "xfam", "mrtd", "mr_config_id",
                 "mr_owner", "mr_owner_config", "report_data"):  # fmt: skip
        assert getattr(body, name) == getattr(domain, name), name
    assert tuple(body.registers) == TDX_REGISTERS
    assert tuple(body.registers.values()) == (domain.mrtd, *domain.rtmrs)
    if isinstance(body, TDReport15):
        assert (body.tee_tcb_svn2, body.mr_service_td) == (
            domain.tee_tcb_svn2,
            domain.mr_service_td,
        )
    if isinstance(body, TDReport15Ex):
        assert body.vm_id == 0
        assert body.td_id == bytes(range(1, 33))
        assert body.cur_servtd_attributes == int.from_bytes(bytes(range(229, 237)), "little")


def test_signature_data_is_taken_apart() -> None:
    chain = shared_chain()
    enclave = Enclave(misc_select=7, isv_prod_id=0x1234, isv_svn=9, authentication=b"auth")
    signed = parse_quote(chain.quote(enclave=enclave)).signature
    report = signed.qe_report
    assert (report.misc_select, report.isv_prod_id, report.isv_svn) == (7, 0x1234, 9)
    assert (report.attributes, report.mrsigner) == (enclave.attributes, enclave.mrsigner)
    assert signed.qe_authentication == b"auth"
    assert signed.certification_type is CertificationType.PCK_CHAIN
    assert signed.certification == chain.pck_chain


@pytest.mark.parametrize("padding", [0, 1, 70, 8000])
def test_zero_padding_is_dropped(padding: int) -> None:
    assert parse_quote(QUOTES[0] + bytes(padding)).raw == QUOTES[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "quote is empty"),
        (QUOTES[0] + b"\0\1", "not zero padding"),
        (QUOTES[0] + bytes(MAX_QUOTE_BYTES), "the limit is"),
        (b"\3\0" + QUOTES[0][2:], "quote version is 3"),
        (QUOTES[0][:2] + b"\3" + QUOTES[0][3:], "attestation key type is 3"),
        (QUOTES[0][:4] + b"\0" + QUOTES[0][5:], "TEE type is 0"),
        (QUOTES[0][:12] + b"\0" + QUOTES[0][13:], "QE vendor is"),
        (QUOTES[1][:48] + b"\1" + QUOTES[1][49:], "body type is 1"),
        (QUOTES[1][:48] + b"\3" + QUOTES[1][49:], "size of a TD_1_5 body is 584"),
    ],
)
def test_what_is_no_quote_of_ours_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(QuoteFormatError, match=message):
        parse_quote(data)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (636 + 128, 5, "certification data is of type 5"),
        (636 + 134 + 384 + 64 + 2 + 32, 6, "inner certification data is of type 6"),
        (636 + 134 + 384 + 64 + 2 + 32, 0, "inner certification data is of type 0"),
        (636 + 130, 0, "ends inside|no field describes"),
        (632, 0, "ends inside|no field describes"),
    ],
)
def test_signature_data_of_another_shape_is_refused(offset: int, value: int, message: str) -> None:
    damaged = bytearray(QUOTES[0])
    damaged[offset] = value
    with pytest.raises(QuoteFormatError, match=message):
        parse_quote(bytes(damaged))


@given(data=st.data())
def test_every_truncation_is_refused(data: Any) -> None:
    quote = data.draw(st.sampled_from(QUOTES))
    with pytest.raises(QuoteFormatError):
        parse_quote(quote[: data.draw(st.integers(0, len(quote) - 1))])


@given(data=st.data())
def test_a_flipped_bit_is_refused_or_seen(data: Any) -> None:
    quote = data.draw(st.sampled_from(QUOTES))
    position = data.draw(st.integers(0, len(quote) * 8 - 1))
    damaged = bytearray(quote)
    damaged[position // 8] ^= 1 << position % 8
    try:
        parsed = parse_quote(bytes(damaged))
    except QuoteFormatError:
        return
    assert parsed != parse_quote(quote)


@given(st.binary(max_size=2000))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(QuoteFormatError):
        parse_quote(b"\4\0" + noise)
