# SPDX-License-Identifier: MIT
"""The choice of evidence, and its reason."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from buildernet.attestation.issue.auto import EvidenceKind, azure_quotes, choose_evidence
from buildernet.attestation.issue.errors import NoProviderError, QuoteUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


class Source:
    """A source of evidence that is there, or fails its check."""

    base = "/base"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def check(self) -> None:
        if self.error is not None:
            raise self.error


MISSING = NoProviderError("no TDX guest")
NO_TPM = NoProviderError("no TPM")


@pytest.mark.parametrize(
    ("tsm", "azure", "product", "kind", "reason"),
    [
        (None, None, "Standard PC", EvidenceKind.DCAP_TDX, "/base gives TDX quotes"),
        (None, None, "Google Compute Engine\n", EvidenceKind.GCP_TDX, "/base gives TDX quotes"),
        (None, Source(), "", EvidenceKind.DCAP_TDX, "/base gives TDX quotes"),
        (MISSING, Source(), "", EvidenceKind.AZURE_TDX, "the vTPM holds Azure's HCL report"),
        (MISSING, Source(NO_TPM), "", EvidenceKind.NONE, "no TDX guest; no TPM"),
        (MISSING, None, "", EvidenceKind.NONE, "no TDX guest; tpm2-pytss is not installed"),
        (QuoteUnavailableError("odd"), None, "", EvidenceKind.NONE, "odd; "),
    ],
)
def test_choice_and_reason(
    tmp_path: Path,
    tsm: Exception | None,
    azure: Any,
    product: str,
    kind: EvidenceKind,
    reason: str,
):
    dmi = tmp_path / "product"
    dmi.write_text(product)
    source: Any = Source(tsm)
    choice = choose_evidence(tsm=source, open_azure=lambda: azure, dmi_product=dmi)
    assert choice.kind is kind
    assert choice.reason.startswith(reason)
    wanted = {EvidenceKind.NONE: None, EvidenceKind.AZURE_TDX: azure}
    assert choice.source is wanted.get(kind, source)


def test_machine_with_configfs_tsm_does_not_wait_for_the_tpm_library():
    source: Any = Source()
    assert choose_evidence(tsm=source, open_azure=pytest.fail).source is source


def test_machine_without_dmi_is_no_google_machine(tmp_path: Path):
    source: Any = Source()
    choice = choose_evidence(tsm=source, open_azure=lambda: None, dmi_product=tmp_path / "missing")
    assert choice.kind is EvidenceKind.DCAP_TDX


def no_post(url: str, *, headers: Any, body: bytes, limit: int) -> bytes:
    raise OSError


def test_azure_without_tpm_library_is_no_source(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "buildernet.attestation.issue.tpm", raising=False)
    monkeypatch.delattr("buildernet.attestation.issue.tpm", raising=False)
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    assert azure_quotes(no_post) is None


def test_azure_without_a_tpm_says_so():
    pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (extra `tpm` of services)")
    source: Any = Source(MISSING)
    azure = azure_quotes(no_post, tcti="device:/nonexistent")
    choice = choose_evidence(tsm=source, open_azure=lambda: azure)
    assert (choice.kind, choice.source) == (EvidenceKind.NONE, None)
    assert "no TPM at device:/nonexistent" in choice.reason
