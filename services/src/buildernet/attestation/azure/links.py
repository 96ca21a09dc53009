# SPDX-License-Identifier: MIT
"""The links of Azure's binding chain, which both documents share; steps as in `verify`."""

import hmac
from collections.abc import Mapping, Sequence

from cryptography import x509

from buildernet.attestation.ak_chain import verify_ak_chain
from buildernet.attestation.azure.anchors import azure_roots
from buildernet.attestation.azure.evidence import VTPMQuote
from buildernet.attestation.azure.hcl import RuntimeClaims
from buildernet.attestation.errors import StepRecord, VerificationError
from buildernet.attestation.policy import MeasurementMatch, MeasurementPolicy, Platform
from buildernet.attestation.quote import TDReport
from buildernet.attestation.registers import PCRS, Bank, Digest, Register
from buildernet.attestation.tpm_quote import (
    Scheme,
    TPMQuote,
    TPMSignature,
    describe_tpm_quote,
    verify_tpm_quote,
)


def check_claims(runtime_data: bytes, bank: Bank, td_report: TDReport) -> StepRecord:
    """Check step Z2: the quote's report data is the hash of the claims, and nothing else.

    Raises:
        VerificationError: it is not.
    """
    digest = bank.digest(runtime_data)
    wanted = digest.ljust(len(td_report.report_data), b"\0")
    require_equal("Z2", "report data of the quote", wanted, td_report.report_data)
    return StepRecord("Z2", "quote is bound to the runtime claims", (digest.hex(),))


def check_vtpm_quote(
    vtpm: VTPMQuote, claims: RuntimeClaims, *, nonce: bytes
) -> tuple[TPMQuote, tuple[StepRecord, ...]]:
    """Check steps T1 to T5 with the key of the claims.

    Raises:
        VerificationError: a step failed.
        TPMQuoteFormatError: the vTPM's quote is damaged.
    """
    signature = TPMSignature(Scheme.RSASSA, Bank.SHA256, vtpm.signature)
    quote = verify_tpm_quote(
        vtpm.message,
        signature=signature,
        attestation_key=claims.attestation_key,
        nonce=nonce,
        pcrs=vtpm.pcrs,
    )
    return quote, describe_tpm_quote(quote, signature)


def check_attestation_key(
    certificate: x509.Certificate,
    *,
    issuers: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate] | None,
    at: int,
    claims: RuntimeClaims,
) -> StepRecord:
    """Check steps T6 to T9: Azure certified the key of the claims.

    Raises:
        VerificationError: a step failed.
        CertificateFormatError: a certificate is damaged.
    """
    chain = verify_ak_chain(
        certificate,
        issuers=issuers,
        roots=azure_roots() if roots is None else roots,
        at=at,
        attestation_key=claims.attestation_key,
    )
    names = tuple(one.subject.rfc4514_string() for one in chain)
    return StepRecord("T6-T9", "attestation key certificate chain", names)


def pcr_registers(vtpm: VTPMQuote) -> Mapping[Register, Digest]:
    """Return the sha256 PCRs by name."""
    return {PCRS[number]: value for number, value in vtpm.pcrs[Bank.SHA256].items()}


def match_pcrs(
    measurements: MeasurementPolicy | None,
    registers: Mapping[Register, Digest],
    passed: list[StepRecord],
) -> MeasurementMatch | None:
    """Check step L for the guest: its PCRs are published ones; None compares nothing.

    Raises:
        MeasurementMismatchError: no record fits.
    """
    if measurements is None:
        return None
    match = measurements.match(Platform.AZURE_TDX, registers)
    compared = ", ".join(match.compared) or "NO REGISTER"
    found = f"measurements of {match.record.measurement_id!r} ({compared})"
    passed.append(StepRecord("L", "guest's PCRs are published ones", (found,)))
    return match


def require_equal(step: str, what: str, expected: bytes, actual: bytes) -> None:
    """Compare in constant time.

    Raises:
        VerificationError: they differ.
    """
    if not hmac.compare_digest(expected, actual):
        raise VerificationError(what, step=step, expected=expected.hex(), actual=actual.hex())


def td_fields(body: TDReport) -> Sequence[tuple[str, slice, bytes]]:
    """Fields that a TD report (1024 bytes) and a quote's body share: name, place, value."""
    number = int.to_bytes
    return (
        ("REPORTDATA", slice(128, 192), body.report_data),
        ("TEE_TCB_SVN", slice(264, 280), body.tee_tcb_svn),
        ("MRSEAM", slice(280, 328), body.mrseam),
        ("MRSIGNERSEAM", slice(328, 376), body.mrsignerseam),
        ("SEAMATTRIBUTES", slice(376, 384), number(body.seam_attributes, 8, "little")),
        ("TDATTRIBUTES", slice(512, 520), number(int(body.td_attributes), 8, "little")),
        ("XFAM", slice(520, 528), number(body.xfam, 8, "little")),
        ("MRTD", slice(528, 576), body.mrtd),
        ("MRCONFIGID", slice(576, 624), body.mr_config_id),
        ("MROWNER", slice(624, 672), body.mr_owner),
        ("MROWNERCONFIG", slice(672, 720), body.mr_owner_config),
        ("RTMR0", slice(720, 768), body.rtmr0),
        ("RTMR1", slice(768, 816), body.rtmr1),
        ("RTMR2", slice(816, 864), body.rtmr2),
        ("RTMR3", slice(864, 912), body.rtmr3),
    )
