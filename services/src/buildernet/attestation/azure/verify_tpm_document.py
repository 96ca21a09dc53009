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

from buildernet.attestation.azure.demands import AzureDemands, VerifiedAzure
from buildernet.attestation.azure.links import check_claims, check_vtpm_quote, require_equal
from buildernet.attestation.azure.tpm_document import AzureTPMDocument
from buildernet.attestation.errors import StepRecord, VerificationError, explaining
from buildernet.attestation.registers import Bank


def tpm_nonce(instance_info: bytes, extra_data: bytes) -> bytes:
    """Return what the vTPM's quote includes, 32 bytes."""
    return hashlib.sha256(instance_info + extra_data).digest()


def verify_azure_tpm_document(
    document: AzureTPMDocument,
    demands: AzureDemands,
    *,
    user_data: bytes,
    extra_data: bytes,
    dangerously_accept_without_ak_certificate: bool = False,
) -> VerifiedAzure:
    """Verify a document of protocol A.

    Args:
        document: parsed.
        demands: what it is held against.
        user_data: 32 bytes: hash of the key of the certificate it came in.
        extra_data: 32 bytes: hash of user data and the verifier's nonce.
        dangerously_accept_without_ak_certificate: take documents without a certificate of the
            attestation key. Whoever owns any TDX machine can then name a key of their own in the
            claims and sign the PCRs they like.

    Raises:
        QuoteFormatError: the TDX quote is damaged.
        TPMQuoteFormatError: the vTPM's quote is damaged.
        VerificationError: another step failed; it names the step and the difference.
    """
    passed: list[StepRecord] = []
    with explaining(passed):
        host = demands.verify_host(document.tdx_quote)
        claims = document.claims
        found = (f"virtual machine {claims.vm_id}",)
        passed += (*host.steps, StepRecord("Z1", "runtime claims are well formed", found))
        passed.append(check_claims(document.runtime_data, Bank.SHA256, host.quote.body))
        require_equal("Z4", "user data of the document", user_data, document.user_data)
        passed.append(StepRecord("Z4", "document names the user data", (user_data.hex(),)))
        nonce = tpm_nonce(document.instance_info, extra_data)
        tpm_quote, steps = check_vtpm_quote(document.quote, claims, nonce=nonce)
        passed += steps
        if document.ak_certificate is not None:
            passed.append(
                demands.check_attestation_key(
                    document.ak_certificate, sent=document.ak_issuers, claims=claims
                )
            )
        elif not dangerously_accept_without_ak_certificate:
            raise VerificationError(
                "the document has no certificate of the attestation key",
                step="T6",
                hint="any TDX machine could have made it; cvm-reverse-proxy sends none",
            )
        return demands.judge(host, tpm_quote, document.quote, passed=passed)
