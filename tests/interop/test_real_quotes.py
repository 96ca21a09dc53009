# SPDX-License-Identifier: MIT
"""Quotes of real machines at the time for which their collateral was fetched."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.collateral import Collateral, parse_collateral
from buildernet.attestation.errors import QuoteFormatError, VerificationError
from buildernet.attestation.event_log import parse_event_log
from buildernet.attestation.quote import BodyType, TDAttributes, parse_quote
from buildernet.attestation.registers import Register
from buildernet.attestation.replay import replay_rtmrs
from buildernet.attestation.verify import (
    TCBStatus,
    TrustAnchors,
    VerifiedQuote,
    verify_quote,
)
from tests.support.shared_data import shared_file

pytestmark = pytest.mark.interop

DCAP = "dcap-qvl-0.7.0-sdist"
FLASHBOTS = "flashbots-attested-tls"
INTEL = "intel-qvl-sample-tdx"
UP_TO_DATE = [
    (f"{DCAP}/tdx_quote", f"{DCAP}/tdx_quote_collateral.json", 1750332747),
    (
        f"{FLASHBOTS}/dcap-tdx-1766059550570652607",
        f"{FLASHBOTS}/dcap-quote-collateral-00.yaml",
        1769509141,
    ),
]


def read(name: str) -> bytes:
    return shared_file(f"attestation/{name}").read_bytes()


def collateral_of(name: str) -> Collateral:
    (collateral,) = parse_collateral(read(name))
    return collateral


def verify(quote: str, collateral: str, at: int) -> VerifiedQuote:
    return verify_quote(
        read(quote),
        collateral=collateral_of(collateral),
        at=at,
        report_data=None,
        measurements=None,
    )


@pytest.mark.parametrize(("quote", "collateral", "at"), UP_TO_DATE)
def test_real_quote_is_up_to_date(quote: str, collateral: str, at: int) -> None:
    verified = verify(quote, collateral, at)
    assert verified.status is TCBStatus.UP_TO_DATE
    assert not verified.advisories
    assert "".join(record.step for record in verified.steps) == "ABCDEFGHIJKL"


@pytest.mark.parametrize(("quote", "collateral", "at"), UP_TO_DATE)
def test_real_quote_without_current_collateral_is_refused(
    quote: str, collateral: str, at: int
) -> None:
    for moment in (at - 40 * 86_400, at + 60 * 86_400):
        with pytest.raises(VerificationError, match=r"^step [CD]: time of"):
            verify(quote, collateral, moment)


def test_platform_below_every_level_is_refused() -> None:
    with pytest.raises(VerificationError, match=r"^step I: ") as caught:
        verify(
            f"{DCAP}/tdx_quote_outdated", f"{DCAP}/tdx_quote_outdated_collateral.json", 1771415931
        )
    assert "".join(record.step for record in caught.value.passed) == "ABCDEFGH"


def test_sgx_quote_is_refused() -> None:
    with pytest.raises(QuoteFormatError, match="quote version is 3"):
        parse_quote(read(f"{DCAP}/sgx_quote"))


def test_text_behind_a_quote_is_refused() -> None:
    data = read("go-tdx-guest/tdx_prod_quote_SPR_E4.dat")
    with pytest.raises(QuoteFormatError, match="39 bytes follow the quote"):
        parse_quote(data)
    assert parse_quote(data[:-39]).body.td_attributes == TDAttributes.PKS


@pytest.mark.parametrize(
    ("name", "kind", "attributes"),
    [
        ("go-tdx-guest/quote_v5_sample.dat", BodyType.TD_1_5, TDAttributes.SEPT_VE_DISABLE),
        ("trustee/tdx_quote_5.dat", BodyType.TD_1_5, TDAttributes.SEPT_VE_DISABLE),
        ("trustee/td-quote.bin", BodyType.TD_1_0, TDAttributes(0)),
        (
            "trustee/tdx_quote_4.dat",
            BodyType.TD_1_0,
            TDAttributes.SEPT_VE_DISABLE | TDAttributes.DEBUG,
        ),
        ("dstack/tdx_quote", BodyType.TD_1_0, TDAttributes.SEPT_VE_DISABLE),
    ],
)
def test_quotes_without_collateral_parse(
    name: str, kind: BodyType, attributes: TDAttributes
) -> None:
    quote = parse_quote(read(name))
    assert (quote.body_type, quote.body.td_attributes) == (kind, attributes)


def test_google_event_log_replays_to_the_registers_of_its_quote() -> None:
    registers = parse_quote(read("go-tdx-guest/cos-113-tdx-quote.dat")).body.registers
    replayed = replay_rtmrs(parse_event_log(read("go-tdx-guest/ccel_data.dat")))
    for register in (Register.RTMR0, Register.RTMR1, Register.RTMR2):
        assert registers[register] == replayed[register]


def intel_sample() -> tuple[Collateral, TrustAnchors]:
    """Intel's own simulated chain, whose parts lie in separate files."""
    authority, root = x509.load_pem_x509_certificates(read(f"{INTEL}/pckSignChain.pem"))
    authority, root = sorted((authority, root), key=lambda one: one.subject == one.issuer)
    signer = sorted(
        x509.load_pem_x509_certificates(read(f"{INTEL}/tcbSignChain.pem")),
        key=lambda one: one.subject == one.issuer,
    )[0]
    pem = {
        name: one.public_bytes(Encoding.PEM)
        for name, one in (("authority", authority), ("root", root), ("signer", signer))
    }
    signed = {}
    for name, key in (("tcbInfo", "tcbInfo"), ("qeIdentity", "enclaveIdentity")):
        text = read(f"{INTEL}/{name}.json").decode()
        head, _, signature = text.rpartition(',"signature":"')
        signed[name] = head.partition(f'"{key}":')[2].encode(), bytes.fromhex(signature[:128])
    collateral = Collateral(
        root_ca_crl=read(f"{INTEL}/rootCaCrl.der"),
        pck_crl=read(f"{INTEL}/intermediateCaCrl.der"),
        pck_crl_issuer_chain=pem["authority"] + pem["root"],
        tcb_info=signed["tcbInfo"][0],
        tcb_info_signature=signed["tcbInfo"][1],
        tcb_info_issuer_chain=pem["signer"] + pem["root"],
        qe_identity=signed["qeIdentity"][0],
        qe_identity_signature=signed["qeIdentity"][1],
        qe_identity_issuer_chain=pem["signer"] + pem["root"],
        pck_certificate_chain=read(f"{INTEL}/pckCert.pem") + pem["authority"] + pem["root"],
    )
    return collateral, TrustAnchors((root.public_bytes(Encoding.DER),))


def test_intels_sample_is_refused_for_its_quoting_enclave_alone() -> None:
    collateral, roots = intel_sample()  # its identity names another MRSIGNER on purpose
    with pytest.raises(VerificationError, match=r"^step F: QE MRSIGNER") as caught:
        verify_quote(
            read(f"{INTEL}/quote.dat"),
            collateral=collateral,
            at=1700000000,
            report_data=None,
            measurements=None,
            roots=roots,
        )
    assert "".join(record.step for record in caught.value.passed) == "ABCDE"


def test_intels_sample_is_not_trusted_by_default() -> None:
    collateral, _ = intel_sample()
    with pytest.raises(VerificationError, match=r"^step B: root certificate"):
        verify_quote(
            read(f"{INTEL}/quote.dat"),
            collateral=collateral,
            at=1700000000,
            report_data=None,
            measurements=None,
        )
