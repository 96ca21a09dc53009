# SPDX-License-Identifier: MIT
"""Makes this machine's evidence: from configfs-tsm, or from an Azure vTPM and its host."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp
from cryptography import x509

from buildernet.attestation.ak_chain import MAX_CERTIFICATE_BYTES, MAX_CHAIN
from buildernet.attestation.ak_issuers import fetch_ak_issuers
from buildernet.attestation.issue import QuoteQueue, TSMQuotes
from buildernet.attestation.issue.auto import Choice, EvidenceKind, azure_quotes, choose_evidence
from buildernet.attestation.issue.azure import AzureQuotes
from buildernet.attestation.issue.errors import NoProviderError
from buildernet.attested_proxy import documents
from buildernet.attested_proxy.config import AUTO, AzureSource
from buildernet.attested_proxy.evidence import AttestationType, Issuer
from buildernet.base.bounded_file import read_file
from buildernet.base.errors import BuildernetError, ConfigError
from buildernet.net.blocking_post import post
from buildernet.net.fetch import HttpFetcher

MAX_CERTIFICATE_FILE_BYTES: Final = 2 * MAX_CHAIN * MAX_CERTIFICATE_BYTES
"""PEM is a third longer than DER."""

_FRAME: Final = b"B"
_DOCUMENT: Final = b"A"
"""How the queue's requests begin: for which protocol."""
_HASH_BYTES: Final = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _TDXIssuer:
    queue: QuoteQueue
    attestation_type: AttestationType

    async def issue(self, report_data: bytes) -> bytes:
        return await self.queue.get(report_data)

    async def issue_document(self, user_data: bytes, extra_data: bytes) -> bytes:
        quote = await self.queue.get(documents.report_data(extra_data))
        return documents.encode_quote(quote, user_data=user_data)


@dataclass(frozen=True, slots=True)
class _AzureIssuer:
    queue: QuoteQueue
    """One for both protocols: there is one vTPM."""
    attestation_type: AttestationType = AttestationType.AZURE_TDX

    async def issue(self, report_data: bytes) -> bytes:
        return await self.queue.get(_FRAME + report_data)

    async def issue_document(self, user_data: bytes, extra_data: bytes) -> bytes:
        return await self.queue.get(_DOCUMENT + user_data + extra_data)


@asynccontextmanager
async def issuing(kind: str, tsm_dir: Path, azure: AzureSource) -> AsyncIterator[Issuer | None]:
    """Give what makes this machine's evidence; None when it makes none.

    Args:
        kind: A type, or `auto` for what the machine has.
        tsm_dir: Folder of configfs-tsm's reports.
        azure: Where an Azure machine's evidence comes from.

    Raises:
        NoProviderError: The machine lacks what a named type needs.
        ConfigError: A file that is named cannot be used.
    """
    choice = await asyncio.to_thread(_choose, kind, TSMQuotes(tsm_dir), azure)
    if kind == AUTO:
        level = logging.WARNING if choice.source is None else logging.INFO
        _log.log(level, "attestation_type auto chose=%s reason=%s", choice.kind, choice.reason)
    if choice.source is None:
        yield None
    elif isinstance(choice.source, AzureQuotes):
        source = await _with_issuers(choice.source, azure)
        async with QuoteQueue(_dispatch(source)) as queue:
            yield _AzureIssuer(queue)
    else:
        async with QuoteQueue(choice.source.quote) as queue:
            # A named type is said as named: gcp-tdx and qemu-tdx are the same evidence.
            named = choice.kind.value if kind == AUTO else kind
            yield _TDXIssuer(queue, AttestationType(named))


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Read PEM certificates.

    Raises:
        ConfigError: The file cannot be read, holds none, or more than `MAX_CHAIN`.
    """
    data = read_file(path, limit=MAX_CERTIFICATE_FILE_BYTES)
    try:
        certificates = x509.load_pem_x509_certificates(data)
    except ValueError as exc:
        raise ConfigError(f"{path} holds no certificates in PEM") from exc
    if len(certificates) > MAX_CHAIN:
        raise ConfigError(f"{path} holds {len(certificates)} certificates, not 1 to {MAX_CHAIN}")
    return tuple(certificates)


def _choose(kind: str, tsm: TSMQuotes, source: AzureSource) -> Choice:
    """Blocking. A named type is checked alone."""
    if kind == AttestationType.NONE:
        return Choice(EvidenceKind.NONE, "asked for", None)
    if kind == AUTO:
        return choose_evidence(tsm=tsm, open_azure=lambda: _open_azure(source))
    if kind != AttestationType.AZURE_TDX:
        tsm.check()
        return Choice(EvidenceKind.DCAP_TDX, "asked for", tsm)
    azure = _open_azure(source)
    if azure is None:
        raise NoProviderError(
            "azure-tdx evidence needs tpm2-pytss", hint="Debian package python3-tpm2-pytss"
        )
    azure.check()
    return Choice(EvidenceKind.AZURE_TDX, "asked for", azure)


def _open_azure(source: AzureSource) -> AzureQuotes | None:
    return azure_quotes(
        post, tcti=source.tcti, quote_url=source.quote_url, event_log=source.event_log
    )


async def _with_issuers(quotes: AzureQuotes, source: AzureSource) -> AzureQuotes:
    """Add the intermediates of the attestation key, which the vTPM does not hold."""
    issuers: tuple[x509.Certificate, ...] = ()
    if source.ak_issuers is not None:
        issuers = read_certificates(source.ak_issuers)
    elif source.fetch_ak_issuers:
        certificate = await asyncio.to_thread(quotes.certificate)
        async with aiohttp.ClientSession() as session:
            fetch = HttpFetcher(session, plain_http=True)
            try:
                issuers = await fetch_ak_issuers(certificate, fetch=fetch)
            except BuildernetError as exc:  # verifiers may have them
                _log.warning("azure_ak_issuers_not_fetched cause=%s", exc)
    names = "; ".join(issuer.subject.rfc4514_string() for issuer in issuers)
    _log.info("azure_ak_issuers sent=%d subjects=%s", len(issuers), names)
    return replace(quotes, ak_issuers=issuers)


def _dispatch(quotes: AzureQuotes) -> Callable[[bytes], bytes]:
    """Make the queue's blocking function, which tells the protocols apart."""

    def make(request: bytes) -> bytes:
        form, data = request[:1], request[1:]
        if form == _FRAME:
            return quotes.evidence(data)
        return quotes.document(data[:_HASH_BYTES], data[_HASH_BYTES:])

    return make
