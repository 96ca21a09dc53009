# SPDX-License-Identifier: MIT
"""Steps E, F and G: from the platform's key over the quoting enclave to the quote's signature."""

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from buildernet.attestation.collateral.tcb_info import LevelStatus, QEIdentity, TCBInfo
from buildernet.attestation.quote import Quote
from buildernet.attestation.quote.signature import EnclaveReport
from buildernet.attestation.verify.certificates import check_signature
from buildernet.attestation.verify.levels import find_level
from buildernet.attestation.verify.pck_extension import PCKExtension
from buildernet.attestation.verify.platform import AuthenticPlatform
from buildernet.attestation.verify.steps import Step, refusal

SGX_FLAG_DEBUG: Final = 1 << 1


def check_identity(extension: PCKExtension, tcb_info: TCBInfo) -> None:
    """Step E: the TCB info is about this kind of platform.

    Raises:
        VerificationError: it is about another.
    """
    for what, certified, stated in (
        ("FMSPC", extension.fmspc, tcb_info.fmspc),
        ("PCEID", extension.pce_id, tcb_info.pce_id),
    ):
        if certified != stated:
            raise refusal(
                Step.PLATFORM_IDENTITY,
                f"{what} of the TCB info",
                certified.hex(),
                stated.hex(),
                hint="collateral is for another kind of platform",
            )


def check_quoting_enclave(
    quote: Quote, platform: AuthenticPlatform, identity: QEIdentity
) -> LevelStatus:
    """Step F: the platform's key signed the QE's report, which vouches for the attestation key.

    Returns:
        What Intel says about this version of the enclave, for step J.

    Raises:
        VerificationError: not Intel's enclave, or another attestation key.
    """
    step, signed = Step.QUOTING_ENCLAVE, quote.signature
    report = signed.qe_report
    check_signature(
        platform.key,
        signed.qe_report_signature,
        report.raw,
        step=step,
        what="QE report",
        signer="the PCK key",
    )
    bound = hashlib.sha256(signed.attestation_key + signed.qe_authentication).digest() + bytes(32)
    if report.report_data != bound:
        raise refusal(step, "report data of the QE", bound.hex(), report.report_data.hex())
    _check_enclave_identity(report, identity)
    return find_level(identity.levels, report.isv_svn, step, "QE ISVSVN")


def _check_enclave_identity(report: EnclaveReport, identity: QEIdentity) -> None:
    step = Step.QUOTING_ENCLAVE
    attributes = int.from_bytes(report.attributes, "little")
    if attributes & SGX_FLAG_DEBUG:
        raise refusal(step, "QE attributes", "no debugging", f"0x{attributes:032x}")
    for what, actual, mask, expected in (
        ("MISCSELECT", report.misc_select, identity.misc_select_mask, identity.misc_select),
        ("attributes", attributes, identity.attributes_mask, identity.attributes),
    ):
        if actual & mask != expected:
            raise refusal(step, f"QE {what} under mask", f"0x{expected:x}", f"0x{actual & mask:x}")
    if report.mrsigner != identity.mrsigner:
        raise refusal(step, "QE MRSIGNER", identity.mrsigner.hex(), report.mrsigner.hex())
    if report.isv_prod_id != identity.isv_prod_id:
        raise refusal(step, "QE ISVPRODID", identity.isv_prod_id, report.isv_prod_id)


def check_quote_signature(quote: Quote) -> None:
    """Step G: the attestation key signed header and body.

    Raises:
        VerificationError: it did not, or is no point on P-256.
    """
    point = quote.signature.attestation_key
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError as exc:
        wanted = "a point on P-256"
        raise refusal(Step.QUOTE_SIGNATURE, "attestation key", wanted, point.hex()) from exc
    check_signature(
        key,
        quote.signature.quote_signature,
        quote.signed,
        step=Step.QUOTE_SIGNATURE,
        what="quote",
        signer="the attestation key",
    )
