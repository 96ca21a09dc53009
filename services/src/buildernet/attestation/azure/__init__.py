# SPDX-License-Identifier: MIT
"""Azure's evidence: a TDX quote over the paravisor, which vouches for a vTPM that quotes the guest.

On Azure the RTMRs measure Microsoft's paravisor; the guest's own boot is in the vTPM's PCRs.
"""

from buildernet.attestation.azure.anchors import azure_roots
from buildernet.attestation.azure.demands import AzureDemands, VerifiedAzure
from buildernet.attestation.azure.evidence import (
    AzureEvidence,
    encode_azure_evidence,
    parse_azure_evidence,
)
from buildernet.attestation.azure.hcl import HCLReport, RuntimeClaims, parse_hcl_report
from buildernet.attestation.azure.tpm_document import AzureTPMDocument, parse_azure_tpm_document
from buildernet.attestation.azure.verify import verify_azure_binding, verify_azure_evidence
from buildernet.attestation.azure.verify_tpm_document import verify_azure_tpm_document

__all__ = [
    "AzureDemands",
    "AzureEvidence",
    "AzureTPMDocument",
    "HCLReport",
    "RuntimeClaims",
    "VerifiedAzure",
    "azure_roots",
    "encode_azure_evidence",
    "parse_azure_evidence",
    "parse_azure_tpm_document",
    "parse_hcl_report",
    "verify_azure_binding",
    "verify_azure_evidence",
    "verify_azure_tpm_document",
]
