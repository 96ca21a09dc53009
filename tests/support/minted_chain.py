# SPDX-License-Identifier: MIT
"""A complete simulated chain of trust: root, platform, collateral and quotes, of our own making.

Structurally real and worthless: every certificate says SIMULATED, and no verifier trusts the root
unless told to. Tests replace single parts to see each refused.

Reference:
    specs/attestation.md sections 2.1 to 2.3 and 2.6.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from buildernet.attestation.collateral import Collateral
from tests.support.minted_pki import (
    DAY,
    FMSPC,
    MINTED_AT,
    NOW,
    PCE_ID,
    PCE_SVN,
    Issuer,
    issue,
    make_crl,
    point,
    raw_sign,
    sgx_extension,
)

QE_MRSIGNER: Final = hashlib.sha256(b"SIMULATED QE signer").digest()
QE_ISV_SVN: Final = 6
SEPT_VE_DISABLE: Final = 1 << 28


__all__ = ["MINTED_AT", "Domain", "Enclave", "MintedChain", "mint_chain", "shared_chain"]


def utc(moment: datetime) -> str:
    """Return a time as Intel writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def level(status: str, *, date: datetime = NOW - 90 * DAY, **tcb: Any) -> dict[str, Any]:
    """Return a TCB level."""
    advisories = {} if status == "UpToDate" else {"advisoryIDs": ["INTEL-SA-00000"]}
    return {"tcb": tcb, "tcbDate": utc(date), "tcbStatus": status, **advisories}


def platform_level(
    status: str, *, sgx: int = 3, pce: int = PCE_SVN, tdx: int = 2, module: int = 0
) -> dict[str, Any]:
    """Return a level of the platform, the same SVN in every component."""
    tdx_components = [{"svn": svn} for svn in (module, 0, *[tdx] * 14)]
    return level(
        status,
        sgxtcbcomponents=[{"svn": sgx}] * 16,
        pcesvn=pce,
        tdxtcbcomponents=tdx_components,
    )


def default_tcb_info() -> dict[str, Any]:
    """Return TCB info with two platform levels and one module."""
    module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "ff" * 8}
    return {
        "id": "TDX",
        "version": 3,
        "issueDate": utc(NOW - DAY),
        "nextUpdate": utc(NOW + 29 * DAY),
        "fmspc": FMSPC.hex().upper(),
        "pceId": PCE_ID.hex(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": 20,
        "tdxModule": module,
        "tdxModuleIdentities": [
            {
                "id": "TDX_01",
                **module,
                "tcbLevels": [level("UpToDate", isvsvn=4), level("OutOfDate", isvsvn=2)],
            }
        ],
        "tcbLevels": [
            platform_level("UpToDate"),
            platform_level("OutOfDate", sgx=2, tdx=1, pce=5),
        ],
    }


def default_qe_identity() -> dict[str, Any]:
    """Return the identity of the simulated quoting enclave."""
    return {
        "id": "TD_QE",
        "version": 2,
        "issueDate": utc(NOW - DAY),
        "nextUpdate": utc(NOW + 29 * DAY),
        "tcbEvaluationDataNumber": 20,
        "miscselect": "00000000",
        "miscselectMask": "ffffffff",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "fbffffffffffffff0000000000000000",
        "mrsigner": QE_MRSIGNER.hex().upper(),
        "isvprodid": 2,
        "tcbLevels": [level("UpToDate", isvsvn=4), level("OutOfDate", isvsvn=2)],
    }


@dataclass(frozen=True)
class Domain:
    """Fields of the TD report to mint, by name in `TDReport`."""

    version: int = 4
    body_type: int = 2
    tee_tcb_svn: bytes = bytes([5, 1, *[2] * 14])
    mrseam: bytes = b"\x5e" * 48
    mrsignerseam: bytes = bytes(48)
    seam_attributes: int = 0
    td_attributes: int = SEPT_VE_DISABLE
    xfam: int = 0x602E7
    mrtd: bytes = b"\x11" * 48
    mr_config_id: bytes = bytes(48)
    mr_owner: bytes = bytes(48)
    mr_owner_config: bytes = bytes(48)
    rtmrs: tuple[bytes, bytes, bytes, bytes] = (b"\x20" * 48, b"\x21" * 48, b"\x22" * 48, bytes(48))
    report_data: bytes = bytes(range(64))
    tee_tcb_svn2: bytes = bytes([5, 1, *[2] * 14])
    mr_service_td: bytes = bytes(48)
    extended: bytes = bytes(237)

    def signed(self) -> bytes:
        """Return header, descriptor (version 5) and body."""
        header = (
            self.version.to_bytes(2, "little")
            + (2).to_bytes(2, "little")
            + (0x81).to_bytes(4, "little")
            + bytes(4)
            + bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
            + b"SIMULATED QE ID \0\0\0\0"
        )
        body = self.tee_tcb_svn + self.mrseam + self.mrsignerseam
        for number in (self.seam_attributes, self.td_attributes, self.xfam):
            body += number.to_bytes(8, "little")
        body += self.mrtd + self.mr_config_id + self.mr_owner + self.mr_owner_config
        body += b"".join(self.rtmrs) + self.report_data
        if self.body_type > 2:
            body += self.tee_tcb_svn2 + self.mr_service_td
        if self.body_type > 3:
            body += self.extended
        if self.version == 4:
            return header + body
        return (
            header + self.body_type.to_bytes(2, "little") + len(body).to_bytes(4, "little") + body
        )


@dataclass(frozen=True)
class Enclave:
    """Fields of the quoting enclave's report to mint."""

    misc_select: int = 0
    attributes: bytes = bytes.fromhex("1100000000000000e700000000000000")
    mrsigner: bytes = QE_MRSIGNER
    isv_prod_id: int = 2
    isv_svn: int = QE_ISV_SVN
    report_data: bytes | None = None
    """None binds the attestation key as it should be."""
    authentication: bytes = bytes(range(32))

    def report(self, attestation_key: bytes) -> bytes:
        """Return the report, 384 bytes."""
        bound = hashlib.sha256(attestation_key + self.authentication).digest() + bytes(32)
        return (
            bytes(16) + self.misc_select.to_bytes(4, "little") + bytes(28) + self.attributes
            + b"\x4e" * 32 + bytes(32) + self.mrsigner + bytes(96)
            + self.isv_prod_id.to_bytes(2, "little") + self.isv_svn.to_bytes(2, "little")
            + bytes(60) + (bound if self.report_data is None else self.report_data)
        )  # fmt: skip


@dataclass(frozen=True)
class MintedChain:
    """Keys and certificates; makes collateral and quotes."""

    root: Issuer
    authority: Issuer
    pck: Issuer
    tcb_signer: Issuer
    attestation_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def pck_chain(self) -> bytes:
        return self.pck.pem + self.authority.pem + self.root.pem

    def collateral(
        self,
        *,
        tcb_info: dict[str, Any] | None = None,
        qe_identity: dict[str, Any] | None = None,
        signer: Issuer | None = None,
        **changes: bytes,
    ) -> Collateral:
        """Make collateral; keyword arguments replace its finished fields."""
        signer = signer or self.tcb_signer
        info = json.dumps(tcb_info or default_tcb_info(), separators=(",", ":")).encode()
        identity = json.dumps(qe_identity or default_qe_identity(), separators=(",", ":")).encode()
        collateral = Collateral(
            root_ca_crl=make_crl(self.root),
            pck_crl=make_crl(self.authority),
            pck_crl_issuer_chain=self.authority.pem + self.root.pem,
            tcb_info=info,
            tcb_info_signature=raw_sign(signer.key, info),
            tcb_info_issuer_chain=signer.pem + self.root.pem,
            qe_identity=identity,
            qe_identity_signature=raw_sign(signer.key, identity),
            qe_identity_issuer_chain=signer.pem + self.root.pem,
        )
        return replace(collateral, **changes)

    def quote(
        self,
        domain: Domain = Domain(),  # frozen
        enclave: Enclave = Enclave(),  # frozen
        *,
        chain: bytes | None = None,
    ) -> bytes:
        """Make a quote about a domain."""
        signed, key = domain.signed(), point(self.attestation_key)
        report = enclave.report(key)
        chain = self.pck_chain + b"\0" if chain is None else chain
        inner = (
            report
            + raw_sign(self.pck.key, report)
            + len(enclave.authentication).to_bytes(2, "little")
            + enclave.authentication
            + (5).to_bytes(2, "little")
            + len(chain).to_bytes(4, "little")
            + chain
        )
        signature = (
            raw_sign(self.attestation_key, signed)
            + key
            + (6).to_bytes(2, "little")
            + len(inner).to_bytes(4, "little")
            + inner
        )
        return signed + len(signature).to_bytes(4, "little") + signature


def mint_chain(**pck_fields: Any) -> MintedChain:
    """Make a new chain; keyword arguments go into the PCK certificate's SGX extension."""
    root = issue("SIMULATED SGX Root CA", None, is_authority=True, path_length=1)
    authority = issue("SIMULATED SGX PCK Platform CA", root, is_authority=True, path_length=0)
    extension = sgx_extension(**pck_fields)
    return MintedChain(
        root=root,
        authority=authority,
        pck=issue("SIMULATED SGX PCK Certificate", authority, extension=extension),
        tcb_signer=issue("SIMULATED SGX TCB Signing", root),
    )


@cache
def shared_chain() -> MintedChain:
    """Return the chain that tests share which change nothing in it."""
    return mint_chain()
