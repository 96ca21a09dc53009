# SPDX-License-Identifier: MIT
"""Evidence of an Azure confidential VM: vTPM, HCL report and the host's quote service.

The report data goes into a vTPM index, the paravisor puts it into a fresh HCL report, the host has
that report's TD report quoted, and the vTPM quotes the guest's PCRs.

Reference:
    specs/attestation.md section 4.2; docs/protocols/evidence.md.
"""

import base64
import binascii
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from cryptography import x509

from buildernet.attestation.ak_chain import parse_padded_certificate
from buildernet.attestation.azure import (
    AzureEvidence,
    HCLReport,
    encode_azure_evidence,
    parse_hcl_report,
)
from buildernet.attestation.azure.evidence import VTPMQuote
from buildernet.attestation.azure.tpm_document import (
    encode_azure_tpm_document,
    encode_instance_info,
)
from buildernet.attestation.azure.verify import NONCE_BYTES
from buildernet.attestation.azure.verify_tpm_document import tpm_nonce
from buildernet.attestation.errors import (
    AzureEvidenceFormatError,
    CertificateFormatError,
    QuoteFormatError,
)
from buildernet.attestation.issue.errors import (
    AzureServiceError,
    NoProviderError,
    QuoteUnavailableError,
    TPMError,
)
from buildernet.attestation.quote import MAX_QUOTE_BYTES, parse_quote
from buildernet.attestation.registers import PCR_COUNT, Bank

if TYPE_CHECKING:  # tpm2-pytss is optional
    from contextlib import AbstractContextManager

    from buildernet.attestation.issue.tpm import AttestationKey, QuotedPCRs

QUOTE_URL: Final = "http://169.254.169.254/acc/tdquote"
HCL_REPORT_INDEX: Final = 0x01400001
USER_DATA_INDEX: Final = 0x01400002
AK_CERTIFICATE_INDEX: Final = 0x01C101D0
AK_HANDLE: Final = 0x81000003
USER_DATA_BYTES: Final = 64
EVENT_LOG: Final = Path("/sys/kernel/security/tpm0/binary_bios_measurements")

REFRESH_SECONDS: Final = 1.0
"""The paravisor takes about three seconds to renew its report."""

REFRESH_ATTEMPTS: Final = 10
"""Three times what it takes."""

MAX_RESPONSE_BYTES: Final = 2 * MAX_QUOTE_BYTES
"""A quote in base64, and JSON around it."""


MAX_EVENT_LOG_BYTES: Final = 44 * 1024
"""As base64 it leaves room for the rest in a certificate of 100 KiB; Azure's logs have about 30."""


class VTPM(Protocol):
    """What is needed of `tpm.TPM`."""

    def read_nv(self, index: int) -> bytes:
        """Read an NV index whole."""

    def write_nv(self, index: int, data: bytes) -> None:
        """Write an NV index, made anew where needed."""

    def open_attestation_key(self, handle: int) -> "AttestationKey":
        """Use a persistent key."""

    def quote(
        self, key: "AttestationKey", *, nonce: bytes, selection: Mapping[Bank, Sequence[int]]
    ) -> "QuotedPCRs":
        """Quote PCRs."""


class Post(Protocol):
    """Blocking HTTP POST."""

    def __call__(self, url: str, *, headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
        """Return the body of a 200 answer of at most `limit` bytes; raises OSError otherwise."""


@dataclass(frozen=True, slots=True)
class AzureQuotes:
    """Makes evidence, blocking; one at a time (see `queue`)."""

    open_tpm: "Callable[[], AbstractContextManager[VTPM]]"
    post: Post
    quote_url: str = QUOTE_URL
    ak_issuers: tuple[x509.Certificate, ...] = ()
    """Intermediate certificates to send along; the vTPM does not hold them."""
    event_log: Path = EVENT_LOG
    """The firmware's log, for verifiers of protocol A that replay it."""
    sleep: Callable[[float], None] = time.sleep

    def check(self) -> None:
        """Check that this is an Azure confidential VM with TDX.

        Raises:
            NoProviderError: it is not.
        """
        with self.open_tpm() as tpm:
            try:
                parse_hcl_report(tpm.read_nv(HCL_REPORT_INDEX))
            except (TPMError, AzureEvidenceFormatError) as exc:
                raise NoProviderError(
                    f"the TPM holds no HCL report of an Azure TDX machine: {exc}"
                ) from exc

    def certificate(self) -> x509.Certificate:
        """Return the attestation key's certificate.

        Raises:
            NoProviderError: no TPM.
            TPMError: the TPM has none.
            QuoteUnavailableError: it is damaged.
        """
        with self.open_tpm() as tpm, _damages():
            return parse_padded_certificate(tpm.read_nv(AK_CERTIFICATE_INDEX))

    def document(self, user_data: bytes, extra_data: bytes) -> bytes:
        """Make the JSON document of protocol A.

        Args:
            user_data: 32 bytes: hash of the certificate's key.
            extra_data: 32 bytes: hash of user data and the verifier's nonce.

        Raises:
            NoProviderError: no TPM.
            TPMError: the TPM refused.
            AzureServiceError: the host gave no quote.
            QuoteUnavailableError: the parts do not fit each other.
        """
        with self.open_tpm() as tpm, _damages():
            report = parse_hcl_report(tpm.read_nv(HCL_REPORT_INDEX))
            if report.hash_bank is not Bank.SHA256:
                raise QuoteUnavailableError(
                    f"the HCL report hashes its claims with {report.hash_bank}, protocol A knows"
                    " sha256 alone"
                )
            instance_info = encode_instance_info(
                tdx_quote=self._quote(report),
                runtime_data=report.runtime_data,
                ak_certificate=parse_padded_certificate(tpm.read_nv(AK_CERTIFICATE_INDEX)),
            )
            key = tpm.open_attestation_key(AK_HANDLE)
            nonce = tpm_nonce(instance_info, extra_data)
            quoted = tpm.quote(key, nonce=nonce, selection={Bank.SHA256: range(PCR_COUNT)})
        return encode_azure_tpm_document(
            VTPMQuote(quoted.message, quoted.signature.value, quoted.pcrs),
            instance_info=instance_info,
            user_data=user_data,
            ak_public=key.area,
            ak_issuers=self.ak_issuers,
            event_log=_read_event_log(self.event_log),
        )

    def evidence(self, report_data: bytes) -> bytes:
        """Make the JSON document of protocol B for 64 bytes of report data.

        Raises:
            NoProviderError: no TPM.
            TPMError: the TPM refused.
            AzureServiceError: the host gave no quote.
            QuoteUnavailableError: the parts do not fit each other.
        """
        if len(report_data) != USER_DATA_BYTES:
            raise QuoteUnavailableError(
                f"report data has {len(report_data)} bytes, Azure takes {USER_DATA_BYTES}"
            )
        with self.open_tpm() as tpm, _damages():
            raw, report = self._fresh_report(tpm, report_data)
            quoted = tpm.quote(
                tpm.open_attestation_key(AK_HANDLE),
                nonce=report_data[:NONCE_BYTES],
                selection={Bank.SHA256: range(PCR_COUNT)},
            )
            certificate = parse_padded_certificate(tpm.read_nv(AK_CERTIFICATE_INDEX))
        return encode_azure_evidence(
            AzureEvidence(
                tdx_quote=self._quote(report),
                hcl_report=raw,
                quote=VTPMQuote(quoted.message, quoted.signature.value, quoted.pcrs),
                ak_certificate=certificate,
                ak_issuers=self.ak_issuers,
            )
        )

    def _fresh_report(self, tpm: VTPM, report_data: bytes) -> tuple[bytes, HCLReport]:
        tpm.write_nv(USER_DATA_INDEX, report_data)
        for attempt in range(REFRESH_ATTEMPTS):
            if attempt:
                self.sleep(REFRESH_SECONDS)
            raw = tpm.read_nv(HCL_REPORT_INDEX)
            report = parse_hcl_report(raw)
            if report.claims.user_data == report_data:
                return raw, report
        raise QuoteUnavailableError(
            f"the paravisor did not renew its report within {REFRESH_ATTEMPTS} reads"
        )

    def _quote(self, report: HCLReport) -> bytes:
        body = json.dumps({"report": _base64url(report.td_report)}).encode()
        headers = {"Metadata": "true", "Content-Type": "application/json"}
        try:
            answer = self.post(self.quote_url, headers=headers, body=body, limit=MAX_RESPONSE_BYTES)
            quote = _unbase64url(json.loads(answer)["quote"])
            parsed = parse_quote(quote)
        except OSError as exc:
            raise AzureServiceError(f"{self.quote_url}: {exc}") from exc
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise AzureServiceError(f"{self.quote_url}: answer without a quote: {exc}") from exc
        except QuoteFormatError as exc:
            raise AzureServiceError(f"{self.quote_url}: {exc}") from exc
        digest = report.hash_bank.digest(report.runtime_data)
        if parsed.body.report_data != digest.ljust(len(parsed.body.report_data), b"\0"):
            raise AzureServiceError(f"{self.quote_url}: the quote is about another report")
        return parsed.raw


@contextlib.contextmanager
def _damages() -> Iterator[None]:
    try:
        yield
    except (AzureEvidenceFormatError, CertificateFormatError) as exc:
        raise QuoteUnavailableError(f"the vTPM holds a damaged value: {exc}") from exc


def _read_event_log(path: Path) -> bytes:
    """Return the log; empty when there is none, or one too long for a certificate."""
    try:
        with path.open("rb") as file:
            log = file.read(MAX_EVENT_LOG_BYTES + 1)
    except OSError:
        return b""
    return log if len(log) <= MAX_EVENT_LOG_BYTES else b""


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError(f"not base64url: {exc}") from exc
