# SPDX-License-Identifier: MIT
"""Evidence about this machine for a node's statement: a TDX quote, or Azure's document."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from buildernet.attestation.azure import parse_azure_evidence
from buildernet.attestation.azure.links import pcr_registers
from buildernet.attestation.issue import TSMQuotes
from buildernet.attestation.issue.auto import azure_quotes, choose_evidence
from buildernet.attestation.issue.azure import AzureQuotes
from buildernet.attestation.policy import Platform
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Digest, Register
from buildernet.net.blocking_post import post
from buildernet.node.errors import RegistrationError


@dataclass(frozen=True, slots=True)
class OwnEvidence:
    """What this machine says about itself."""

    attestation_type: str
    platform: Platform
    evidence: bytes
    registers: Mapping[Register, Digest]


def make_evidence(report_data: bytes, *, tsm_dir: Path) -> OwnEvidence:
    """Return evidence about 64 bytes.

    Args:
        report_data: What it is bound to.
        tsm_dir: Folder of configfs-tsm's reports.

    Raises:
        RegistrationError: This machine has no TEE.
        IssueError: It has one, which gives no evidence now.
    """
    choice = choose_evidence(tsm=TSMQuotes(tsm_dir), open_azure=lambda: azure_quotes(post))
    kind, source = choice.kind.value, choice.source
    if source is None:
        raise RegistrationError(f"this machine gives no evidence: {choice.reason}")
    if isinstance(source, AzureQuotes):
        document = source.evidence(report_data)
        registers = pcr_registers(parse_azure_evidence(document).quote)
        return OwnEvidence(kind, Platform.AZURE_TDX, document, registers)
    quote = source.quote(report_data)
    return OwnEvidence(kind, Platform.DCAP_TDX, quote, parse_quote(quote).body.registers)
