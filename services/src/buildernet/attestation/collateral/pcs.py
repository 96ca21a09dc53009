# SPDX-License-Identifier: MIT
"""Collateral from Intel's provisioning certification service (PCS) or a cache of it (PCCS).

Reference:
    Intel PCS API v4 and PCCS design guide; specs/attestation.md section 2.3.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote

from buildernet.attestation.collateral.collateral import Collateral
from buildernet.attestation.collateral.kind import PlatformKind
from buildernet.attestation.errors import CollateralError

MAX_RESPONSE_BYTES: Final = 1 << 20
"""The largest answer is TCB info with about 8 KiB; lists grow with every revoked platform."""

_CRL_CHAIN: Final = ("sgx-pck-crl-issuer-chain",)
_TCB_CHAIN: Final = ("tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain")
_QE_CHAIN: Final = ("sgx-enclave-identity-issuer-chain",)


class Fetcher(Protocol):
    """Gets a URL; the implementation bounds time and trusts only TLS of public CAs."""

    async def __call__(self, url: str, *, limit: int) -> tuple[bytes, Mapping[str, str]]:
        """Return body and headers of a successful answer.

        Raises:
            BuildernetError: no answer, another status, or a body over `limit` bytes.
        """
        ...


@dataclass(frozen=True, slots=True)
class CollateralService:
    """Where collateral is fetched."""

    base: str
    """URL up to and without `/sgx/certification/v4`."""
    root_crl: str
    """URL of the root's revocation list, DER or hexadecimal."""


INTEL_PCS: Final = CollateralService(
    base="https://api.trustedservices.intel.com",
    root_crl="https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
)


def pccs(url: str) -> CollateralService:
    """Return the service of a PCCS at this base URL."""
    base = url.rstrip("/")
    return CollateralService(base=base, root_crl=f"{base}/sgx/certification/v4/rootcacrl")


async def fetch_collateral(
    kind: PlatformKind, *, service: CollateralService, fetch: Fetcher
) -> Collateral:
    """Fetch everything about one kind of platform; four requests.

    Raises:
        CollateralError: an answer is not what the service documents.
        BuildernetError: what `fetch` raises.
    """
    sgx, tdx = (f"{service.base}/{part}/certification/v4" for part in ("sgx", "tdx"))
    crl_url = f"{sgx}/pckcrl?ca={kind.authority}&encoding=der"
    pck_crl, crl_headers = await fetch(crl_url, limit=MAX_RESPONSE_BYTES)
    tcb_url = f"{tdx}/tcb?fmspc={kind.fmspc.hex().upper()}"
    tcb, tcb_headers = await fetch(tcb_url, limit=MAX_RESPONSE_BYTES)
    qe, qe_headers = await fetch(f"{tdx}/qe/identity", limit=MAX_RESPONSE_BYTES)
    root_crl, _ = await fetch(service.root_crl, limit=MAX_RESPONSE_BYTES)
    tcb_info, tcb_info_signature = split_signed(tcb, "tcbInfo")
    qe_identity, qe_identity_signature = split_signed(qe, "enclaveIdentity")
    return Collateral(
        root_ca_crl=_binary(root_crl, "root CRL"),
        pck_crl=_binary(pck_crl, "PCK CRL"),
        pck_crl_issuer_chain=_chain(crl_headers, _CRL_CHAIN),
        tcb_info=tcb_info,
        tcb_info_signature=tcb_info_signature,
        tcb_info_issuer_chain=_chain(tcb_headers, _TCB_CHAIN),
        qe_identity=qe_identity,
        qe_identity_signature=qe_identity_signature,
        qe_identity_issuer_chain=_chain(qe_headers, _QE_CHAIN),
    )


def split_signed(answer: bytes, name: str) -> tuple[bytes, bytes]:
    """Cut an answer into the exact bytes that were signed, and the signature.

    Args:
        answer: `{"<name>":{…},"signature":"<hex>"}`, in this order.
        name: `tcbInfo` or `enclaveIdentity`.

    Raises:
        CollateralError: another shape.
    """
    try:
        text = answer.decode().strip()
        start = text.index(f'"{name}"') + len(name) + 2
        start = text.index("{", start)
        _, end = json.JSONDecoder().raw_decode(text, start)
        document = json.loads(text)
        signed, signature = text[start:end], bytes.fromhex(document["signature"])
        if set(document) != {name, "signature"} or json.loads(signed) != document[name]:
            raise ValueError("another shape")
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise CollateralError(f"answer is not {name} with its signature: {exc!r}"[:200]) from exc
    return signed.encode(), signature


def _binary(body: bytes, what: str) -> bytes:
    """Return DER that came as it is or in hexadecimal."""
    if body[:1] == b"\x30" and body[1:2] >= b"\x80":
        return body
    try:
        return bytes.fromhex(body.decode())
    except ValueError as exc:
        raise CollateralError(f"{what} is neither DER nor hexadecimal") from exc


def _chain(headers: Mapping[str, str], names: tuple[str, ...]) -> bytes:
    for name, value in headers.items():
        if name.lower() in names:
            return unquote(value).encode()
    raise CollateralError(f"answer lacks the header {names[0]}")
