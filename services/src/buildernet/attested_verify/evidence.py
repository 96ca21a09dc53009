# SPDX-License-Identifier: MIT
"""The three kinds of saved evidence, each read from its files and verified."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from buildernet.attestation.azure import AzureDemands, parse_azure_evidence, verify_azure_evidence
from buildernet.attestation.azure.evidence import MAX_EVIDENCE_BYTES
from buildernet.attestation.azure.links import match_pcrs
from buildernet.attestation.collateral import Collateral, TCBStatus, parse_collateral
from buildernet.attestation.collateral.documents import MAX_FILE_BYTES
from buildernet.attestation.errors import DigestError, StepRecord, explaining
from buildernet.attestation.policy import MeasurementMatch
from buildernet.attestation.quote import MAX_QUOTE_BYTES, parse_quote
from buildernet.attestation.registers import (
    PCR_COUNT,
    PCRS,
    Bank,
    Digest,
    Register,
    parse_digest,
)
from buildernet.attestation.tpm_quote import (
    describe_tpm_quote,
    parse_tpm_quote,
    parse_tpmt_signature,
    verify_tpm_quote,
)
from buildernet.attestation.verify import (
    TCBPolicy,
    VerifiedQuote,
    platform_kind,
    select_collateral,
    verify_quote,
)
from buildernet.attestation.verify.sources import read_roots
from buildernet.attested_verify.errors import InputError
from buildernet.attested_verify.inputs import (
    download_ak_issuers,
    parse_hexadecimal,
    parse_report_data,
    read_ak_certificates,
    read_file,
    read_measurements,
    save_collateral,
)
from buildernet.base.paths import MAX_REGISTERS_BYTES

MAX_TPM_FILE_BYTES: Final = 16 * 1024
"""A TPM quote, its signature and a public key have some hundred bytes each."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Evidence that passed."""

    kind: str
    """`tdx-quote`, `azure` or `tpm-quote`."""
    quote: VerifiedQuote | None
    """None for a TPM's quote alone."""
    registers: Mapping[Register, Digest]
    """What measurements are compared with."""
    match: MeasurementMatch | None
    """The record that fits; None if measurements were not compared."""
    steps: tuple[StepRecord, ...]


def verify_tdx(arguments: argparse.Namespace) -> Accepted:
    """Verify a TDX quote, steps A to L."""
    quote = read_file(arguments.quote, limit=MAX_QUOTE_BYTES)
    verified = verify_quote(
        quote,
        collateral=_read_collateral(arguments, quote),
        at=arguments.at,
        report_data=parse_report_data(arguments.report_data),
        measurements=read_measurements(arguments.measurements),
        roots=read_roots(arguments.root, error=InputError),
        policy=_policy(arguments),
    )
    return Accepted("tdx-quote", verified, verified.registers, verified.match, verified.steps)


def verify_azure(arguments: argparse.Namespace) -> Accepted:
    """Verify what an Azure confidential VM sends, down to the guest's PCRs."""
    report_data = parse_report_data(arguments.report_data)
    if report_data is None:
        raise InputError("--azure needs --report-data: its binding is part of the evidence")
    evidence = parse_azure_evidence(read_file(arguments.azure, limit=MAX_EVIDENCE_BYTES))
    verified = verify_azure_evidence(
        evidence,
        AzureDemands(
            collateral=_read_collateral(arguments, evidence.tdx_quote),
            at=arguments.at,
            measurements=read_measurements(arguments.measurements),
            roots=read_roots(arguments.root, error=InputError),
            ak_roots=read_ak_certificates(arguments.ak_root),
            ak_issuers=_ak_issuers(arguments, evidence.ak_certificate),
            policy=_policy(arguments),
        ),
        report_data=report_data,
    )
    return Accepted("azure", verified.quote, verified.registers, verified.match, verified.steps)


def verify_tpm(arguments: argparse.Namespace) -> Accepted:
    """Verify a TPM's quote under an attestation key that the caller trusts."""
    needed = ("tpm_signature", "ak", "pcrs", "nonce")
    missing = [name for name in needed if getattr(arguments, name) is None]
    if missing:
        raise InputError(f"--tpm-quote needs --{missing[0].replace('_', '-')}")
    message = read_file(arguments.tpm_quote, limit=MAX_TPM_FILE_BYTES)
    signature = read_file(arguments.tpm_signature, limit=MAX_TPM_FILE_BYTES)
    claimed = _read_pcrs(arguments.pcrs)
    selection = parse_tpm_quote(message).selection
    pcrs = {
        bank: {number: claimed[bank][number] for number in numbers if number in claimed[bank]}
        for bank, numbers in selection.items()
        if bank in claimed
    }
    registers = {PCRS[number]: value for number, value in pcrs.get(Bank.SHA256, {}).items()}
    parsed = parse_tpmt_signature(signature)
    quote = verify_tpm_quote(
        message,
        signature=parsed,
        attestation_key=_read_key(arguments.ak),
        nonce=parse_hexadecimal(arguments.nonce, "--nonce"),
        pcrs=pcrs,
    )
    passed = [*describe_tpm_quote(quote, parsed)]
    passed.append(StepRecord("T6-T9", "attestation key is trusted because it was named", ()))
    with explaining(passed):
        match = match_pcrs(read_measurements(arguments.measurements), registers, passed)
    return Accepted("tpm-quote", None, registers, match, tuple(passed))


def _read_collateral(arguments: argparse.Namespace, quote: bytes) -> Collateral:
    parsed = parse_quote(quote)
    if arguments.fetch_collateral is not None:
        return save_collateral(
            platform_kind(parsed), arguments.fetch_collateral, pccs_url=arguments.pccs_url
        )
    if arguments.collateral is None:
        raise InputError("a TDX quote needs --collateral, or --fetch-collateral to get it")
    collaterals = parse_collateral(read_file(arguments.collateral, limit=MAX_FILE_BYTES))
    return select_collateral(parsed, collaterals)


def _ak_issuers(
    arguments: argparse.Namespace, certificate: x509.Certificate
) -> tuple[x509.Certificate, ...]:
    if arguments.fetch_ak_issuers:
        return download_ak_issuers(certificate)
    return read_ak_certificates(arguments.ak_issuers) or ()


def _policy(arguments: argparse.Namespace) -> TCBPolicy:
    statuses = arguments.allow_status or [TCBStatus.UP_TO_DATE]
    return TCBPolicy(allowed=frozenset(TCBStatus(status) for status in statuses))


def _read_key(path: Path) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    data = read_file(path, limit=MAX_TPM_FILE_BYTES)
    try:
        if b"BEGIN CERTIFICATE" in data:
            key: object = x509.load_pem_x509_certificate(data).public_key()
        else:
            key = load_pem_public_key(data)
    except ValueError as exc:
        raise InputError(f"{path} is no public key or certificate in PEM") from exc
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise InputError(f"{path} is neither an RSA nor an elliptic curve key")
    return key


def _read_pcrs(path: Path) -> Mapping[Bank, Mapping[int, Digest]]:
    """Read PCRs from the `registers.json` of a node: `{"pcrs": {"sha256": {"4": "…"}}}`."""
    data = read_file(path, limit=MAX_REGISTERS_BYTES)
    values: dict[Bank, dict[int, Digest]] = {}
    try:
        for name, pcrs in json.loads(data)["pcrs"].items():
            bank = Bank(name)
            values[bank] = {int(number): parse_digest(bank, text) for number, text in pcrs.items()}
        if any(number not in range(PCR_COUNT) for pcrs in values.values() for number in pcrs):
            raise ValueError("no such PCR")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, DigestError) as exc:
        raise InputError(f"{path} is no registers.json: {str(exc)[:200]}") from exc
    return values
