# SPDX-License-Identifier: MIT
"""dcap-qvl, an independent verifier, asked about the same evidence; and where we are stricter."""

import json
from dataclasses import dataclass
from typing import Final

import dcap_qvl  # type: ignore[import-untyped] # ships no stubs

from buildernet.attestation.collateral import Collateral, encode_bundle
from buildernet.attestation.verify import TCBPolicy, TCBStatus, TrustAnchors, verify_quote
from buildernet.base.errors import BuildernetError

ANY_STATUS: Final = TCBPolicy(allowed=frozenset(TCBStatus) - {TCBStatus.REVOKED})
"""dcap-qvl's `verify` judges no status but Revoked."""


@dataclass(frozen=True)
class Stricter:
    """One kind of refusal of what dcap-qvl accepts; each is a row of the protocol page."""

    pattern: str
    why: str


STRICTER: Final = (
    Stricter("bytes follow the quote and are not zero", "bytes after the quote"),
    Stricter("certification data is of type", "outer certification type"),
    Stricter(r"(PCK chain|issuer chain of .*) cannot be read", "PEM and DER that are not exact"),
    Stricter("PCK chain has . certificates", "PCK chain without its root"),
    Stricter("step B: root certificate", "root inside the chain is not the trusted one"),
    Stricter("step C: (issuer chain|issuer) of the PCK CRL", "issuer chain of the PCK CRL"),
    Stricter("step C: signature of certificate", "issuer chain of the PCK CRL"),
    Stricter("step C: time of (root|PCK) CRL", "revocation list of the future"),
    Stricter("step [BCD]: (role of a )?certificate ", "certificate in another role"),
    Stricter("step D: (root of|certificates in)", "issuer chain of signed collateral"),
    Stricter("step D: time of", "signed collateral of the future"),
    Stricter("step E: PCEID", "PCEID"),
    Stricter("unknown TCB status", "TCB status that no enclave has"),
    Stricter("step F: report data of the QE", "zeros behind the hash in the QE's report data"),
    Stricter("step [HI]: ", "levels of the running TDX module"),
    Stricter("step L: TD attributes", "TD attributes"),
    Stricter("step L: XFAM", "XFAM"),
    Stricter("step L: MR(CONFIGID|OWNER|OWNERCONFIG|SERVICETD)", "MRCONFIGID, MROWNER"),
    Stricter(
        ".* (lacks|unknown tcbType|has not|is not|is no|has [0-9]+ bytes)",
        "signed JSON with odd values",
    ),
)


@dataclass(frozen=True)
class Opinion:
    """Accepted with a status and advisories, or refused with a reason."""

    status: str | None
    advisories: frozenset[str] = frozenset()
    reason: str = ""


def ours(quote: bytes, collateral: Collateral, root: bytes, at: int) -> Opinion:
    """Ask our verifier; only our errors may come out."""
    try:
        verified = verify_quote(
            quote,
            collateral=collateral,
            at=at,
            report_data=None,
            measurements=None,
            roots=TrustAnchors((root,)),
            policy=ANY_STATUS,
        )
    except BuildernetError as error:
        return Opinion(None, reason=str(error))
    return Opinion(verified.status, verified.advisories)


def dcap_collateral(collateral: Collateral) -> dcap_qvl.QuoteCollateralV3:
    """Return collateral as dcap-qvl takes it.

    Raises:
        ValueError: it cannot read it.
    """
    entry = json.loads(encode_bundle([collateral]))["collaterals"][0]
    return dcap_qvl.QuoteCollateralV3.from_json(json.dumps(entry))


def theirs(quote: bytes, collateral: Collateral, root: bytes, at: int) -> Opinion:
    """Ask dcap-qvl."""
    try:
        report = dcap_qvl.verify_with_root_ca(quote, dcap_collateral(collateral), root, at)
    except ValueError as error:
        return Opinion(None, reason=str(error))
    return Opinion(report.status, frozenset(report.advisory_ids))
