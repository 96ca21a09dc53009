# SPDX-License-Identifier: MIT
"""Azure's binding chain as protocol A carries it: no HCL report, and often no certificate.

| step | check |
|---|---|
| A-L | the TDX quote (`verify_quote`) |
| Z1 | runtime claims are well formed |
| Z2 | report data of the quote is the hash of the claims |
| Z4 | the document says that it is bound to the expected user data |
| T1-T5 | the vTPM quote by the key of the claims; nonce = SHA-256(instance info || extra data) |
| T6-T9 | certificate chain of the attestation key |
| L | the PCRs against the measurement policy |

Step Z3 has nothing to compare: the TD report is not sent.

Reference:
    specs/services.md section 2.3; docs/protocols/attested-tls-a.md.
"""

import hashlib
from collections.abc import Sequence

from cryptography import x509

from buildernet.attestation.azure.links import (
    check_attestation_key,
    check_claims,
    check_vtpm_quote,
    match_pcrs,
    pcr_registers,
    require_equal,
)
from buildernet.attestation.azure.tpm_document import AzureTPMDocument
from buildernet.attestation.azure.verify import VerifiedAzure
from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import StepRecord, VerificationError, explaining
from buildernet.attestation.policy import MeasurementPolicy
from buildernet.attestation.registers import Bank
from buildernet.attestation.verify import (
    INTEL,
    TCBPolicy,
    TDPolicy,
    TrustAnchors,
    verify_quote,
)
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY
from buildernet.attestation.verify.td_policy import DEFAULT_TD_POLICY


def tpm_nonce(instance_info: bytes, extra_data: bytes) -> bytes:
    """Return what the vTPM's quote includes, 32 bytes."""
    return hashlib.sha256(instance_info + extra_data).digest()


def verify_azure_tpm_document(
    document: AzureTPMDocument,
    *,
    user_data: bytes,
    extra_data: bytes,
    collateral: Collateral,
    at: int,
    measurements: MeasurementPolicy | None,
    roots: TrustAnchors = INTEL,
    ak_roots: Sequence[x509.Certificate] | None = None,
    ak_issuers: Sequence[x509.Certificate] = (),
    dangerously_accept_without_ak_certificate: bool = False,
    policy: TCBPolicy = UP_TO_DATE_ONLY,
    td_policy: TDPolicy = DEFAULT_TD_POLICY,
) -> VerifiedAzure:
    """Verify a document of protocol A.

    Args:
        document: parsed.
        user_data: 32 bytes: hash of the key of the certificate it came in.
        extra_data: 32 bytes: hash of user data and the verifier's nonce.
        collateral: for the host's platform.
        at: Unix time at which everything must be valid.
        measurements: images taken, by PCRs; None leaves the comparison to the caller.
        roots: whom to believe about TDX.
        ak_roots: whom to believe about attestation keys; None means Azure's.
        ak_issuers: intermediate certificates that the verifier has, beside those sent.
        dangerously_accept_without_ak_certificate: take documents without a certificate of the
            attestation key. Whoever owns any TDX machine can then name a key of their own in the
            claims and sign the PCRs they like.
        policy: which TCB statuses are taken.
        td_policy: demands on the trust domain of the paravisor.

    Raises:
        QuoteFormatError: the TDX quote is damaged.
        TPMQuoteFormatError: the vTPM's quote is damaged.
        VerificationError: another step failed; it names the step and the difference.
    """
    passed: list[StepRecord] = []
    with explaining(passed):
        verified = verify_quote(
            document.tdx_quote,
            collateral=collateral,
            at=at,
            report_data=None,
            measurements=None,
            roots=roots,
            policy=policy,
            td_policy=td_policy,
        )
        claims = document.claims
        found = (f"virtual machine {claims.vm_id}",)
        passed += (*verified.steps, StepRecord("Z1", "runtime claims are well formed", found))
        passed.append(check_claims(document.runtime_data, Bank.SHA256, verified.quote.body))
        require_equal("Z4", "user data of the document", user_data, document.user_data)
        passed.append(StepRecord("Z4", "document names the user data", (user_data.hex(),)))
        nonce = tpm_nonce(document.instance_info, extra_data)
        quote, steps = check_vtpm_quote(document.quote, claims, nonce=nonce)
        passed += steps
        if document.ak_certificate is not None:
            passed.append(
                check_attestation_key(
                    document.ak_certificate,
                    issuers=(*document.ak_issuers, *ak_issuers),
                    roots=ak_roots,
                    at=at,
                    claims=claims,
                )
            )
        elif not dangerously_accept_without_ak_certificate:
            raise VerificationError(
                "the document has no certificate of the attestation key",
                step="T6",
                hint="any TDX machine could have made it; cvm-reverse-proxy sends none",
            )
        registers = pcr_registers(document.quote)
        match = match_pcrs(measurements, registers, passed)
    return VerifiedAzure(verified, quote, registers, match, tuple(passed))
