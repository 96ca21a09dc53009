# SPDX-License-Identifier: MIT
"""What the command line names, read and typed: files, roots, report data, measurements."""

import asyncio
import functools
from pathlib import Path

import aiohttp
from cryptography import x509

from buildernet.attestation.ak_issuers import fetch_ak_issuers
from buildernet.attestation.collateral import (
    INTEL_PCS,
    Collateral,
    CollateralService,
    PlatformKind,
    encode_bundle,
    pccs,
)
from buildernet.attestation.collateral.pcs import fetch_collateral
from buildernet.attestation.policy import MeasurementPolicy, parse_measurement_policy
from buildernet.attestation.policy.documents import MAX_POLICY_BYTES
from buildernet.attestation.quote.body import REPORT_DATA_BYTES
from buildernet.attestation.verify.sources import MAX_ROOT_BYTES
from buildernet.attested_verify.errors import InputError
from buildernet.base import bounded_file
from buildernet.net.fetch import HttpFetcher

read_file = functools.partial(bounded_file.read_file, error=InputError)
"""Read a file of the command line; raises `InputError`."""


def read_ak_certificates(path: Path | None) -> tuple[x509.Certificate, ...] | None:
    """Return the PEM certificates of a file; None if none is named.

    Raises:
        InputError: it cannot be read, or holds none.
    """
    if path is None:
        return None
    try:
        return tuple(x509.load_pem_x509_certificates(read_file(path, limit=MAX_ROOT_BYTES)))
    except ValueError as exc:
        raise InputError(f"{path} holds no certificates in PEM") from exc


def download_ak_issuers(certificate: x509.Certificate) -> tuple[x509.Certificate, ...]:
    """Fetch the issuers of an attestation key's certificate from the addresses it names.

    Raises:
        CertificateFormatError: none of its addresses gives its issuer.
    """
    return asyncio.run(_download_ak_issuers(certificate))


def parse_report_data(text: str | None) -> bytes | None:
    """Decode report data; fewer than 64 bytes are padded with zeros, as issuers do.

    Raises:
        InputError: not hexadecimal, empty, or longer than 64 bytes.
    """
    if text is None:
        return None
    data = parse_hexadecimal(text, "--report-data")
    if not 1 <= len(data) <= REPORT_DATA_BYTES:
        raise InputError(f"--report-data has {len(data)} bytes, not 1 to {REPORT_DATA_BYTES}")
    return data.ljust(REPORT_DATA_BYTES, b"\0")


def parse_hexadecimal(text: str, option: str) -> bytes:
    """Decode the value of an option.

    Raises:
        InputError: not hexadecimal.
    """
    try:
        return bytes.fromhex(text)
    except ValueError as exc:
        raise InputError(f"{option} is not hexadecimal") from exc


def read_measurements(source: str | None) -> MeasurementPolicy | None:
    """Read measurements from a file or, when it starts with a scheme, from a URL.

    Raises:
        InputError: the file cannot be read.
        FetchError: the URL cannot be fetched.
        PolicyError: not measurements, or they would accept anything.
    """
    if source is None:
        return None
    if "://" in source:
        data = asyncio.run(_fetch(source))
    else:
        data = read_file(Path(source), limit=MAX_POLICY_BYTES)
    return parse_measurement_policy(data)


def save_collateral(kind: PlatformKind, path: Path, *, pccs_url: str | None) -> Collateral:
    """Fetch collateral of one kind of platform and write it as a bundle.

    Args:
        kind: as the quote names it.
        path: file to write; replaced if it exists.
        pccs_url: base URL of a PCCS; None asks Intel.

    Raises:
        FetchError: the service does not answer.
        CollateralError: its answer is unusable.
        InputError: the file cannot be written.
    """
    service = INTEL_PCS if pccs_url is None else pccs(pccs_url)
    collateral = asyncio.run(_fetch_collateral(kind, service))
    try:
        path.write_text(encode_bundle([collateral]))
    except OSError as exc:
        raise InputError(f"cannot write {path}: {exc.strerror}") from exc
    return collateral


async def _fetch_collateral(kind: PlatformKind, service: CollateralService) -> Collateral:
    async with aiohttp.ClientSession() as session:
        return await fetch_collateral(kind, service=service, fetch=HttpFetcher(session))


async def _download_ak_issuers(certificate: x509.Certificate) -> tuple[x509.Certificate, ...]:
    async with aiohttp.ClientSession() as session:
        fetch = HttpFetcher(session, plain_http=True)  # certificates carry their own signature
        return await fetch_ak_issuers(certificate, fetch=fetch)


async def _fetch(url: str) -> bytes:
    async with aiohttp.ClientSession() as session:
        body, _ = await HttpFetcher(session)(url, limit=MAX_POLICY_BYTES)
    return body
