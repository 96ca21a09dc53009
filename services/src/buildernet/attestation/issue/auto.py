# SPDX-License-Identifier: MIT
"""Choose the evidence that this machine can give, and say why."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography import x509

from buildernet.attestation.issue.azure import EVENT_LOG, QUOTE_URL, AzureQuotes, Post
from buildernet.attestation.issue.errors import IssueError
from buildernet.attestation.issue.tsm import TSMQuotes

DMI_PRODUCT: Final = Path("/sys/class/dmi/id/product_name")
GOOGLE_PRODUCT: Final = "Google Compute Engine"


class EvidenceKind(StrEnum):
    """Types of evidence by the names of flags and measurement files."""

    NONE = "none"
    DCAP_TDX = "dcap-tdx"
    GCP_TDX = "gcp-tdx"
    """The same evidence as `dcap-tdx`; the name tells where the machine claims to run."""
    AZURE_TDX = "azure-tdx"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the machine can give."""

    kind: EvidenceKind
    reason: str
    """One line for the log."""
    source: TSMQuotes | AzureQuotes | None
    """What gives it, blocking; None for no evidence."""


def azure_quotes(
    post: Post,
    *,
    tcti: str | None = None,
    quote_url: str = QUOTE_URL,
    ak_issuers: tuple[x509.Certificate, ...] = (),
    event_log: Path = EVENT_LOG,
) -> AzureQuotes | None:
    """Return a client of the vTPM, or None when tpm2-pytss is not installed.

    Args:
        post: reaches the host's quote service.
        tcti: where the TPM is; None means the kernel's resource manager.
        quote_url: of the host's quote service.
        ak_issuers: intermediate certificates to send along.
        event_log: the firmware's log.
    """
    try:
        from buildernet.attestation.issue import tpm
    except (ImportError, OSError):  # OSError: a library of tpm2-tss is missing
        return None
    return AzureQuotes(
        lambda: tpm.TPM(tcti or tpm.DEFAULT_TCTI),
        post,
        quote_url=quote_url,
        ak_issuers=ak_issuers,
        event_log=event_log,
    )


def choose_evidence(
    *,
    tsm: TSMQuotes,
    open_azure: Callable[[], AzureQuotes | None],
    dmi_product: Path = DMI_PRODUCT,
) -> Choice:
    """Try configfs-tsm, then Azure's vTPM.

    On Azure the guest has no configfs-tsm provider for TDX: the paravisor keeps it to itself.

    Args:
        tsm: client of configfs-tsm.
        open_azure: gives the client of the vTPM, None when tpm2-pytss is not installed. Not called
            on a machine with configfs-tsm, which need not wait for that library.
        dmi_product: file with the machine's product name, to tell Google's machines.
    """
    try:
        tsm.check()
    except IssueError as exc:
        reasons = [str(exc)]
    else:
        kind = EvidenceKind.GCP_TDX if _is_google(dmi_product) else EvidenceKind.DCAP_TDX
        return Choice(kind, f"{tsm.base} gives TDX quotes", tsm)
    azure = open_azure()
    if azure is None:
        reasons.append("tpm2-pytss is not installed")
    else:
        try:
            azure.check()
        except IssueError as exc:
            reasons.append(str(exc))
        else:
            reason = "the vTPM holds Azure's HCL report of a TDX machine"
            return Choice(EvidenceKind.AZURE_TDX, reason, azure)
    return Choice(EvidenceKind.NONE, "; ".join(reasons), None)


def _is_google(dmi_product: Path) -> bool:
    try:
        return dmi_product.read_text("ascii", "replace").strip() == GOOGLE_PRODUCT
    except OSError:
        return False
