# SPDX-License-Identifier: MIT
"""Intermediate certificates of an attestation key, from the addresses that certificates name (AIA).

A TPM holds its key's certificate alone. What is fetched is not trusted for having been fetched:
`ak_chain` checks every signature up to a root of the verifier's. The addresses come from the
certificate, so only who takes a certificate from its own TPM, or is told by a person to, fetches.

Reference:
    RFC 5280, section 4.2.2.1 (Authority Information Access).
"""

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import AuthorityInformationAccessOID

from buildernet.attestation.ak_chain import (
    MAX_CERTIFICATE_BYTES,
    MAX_CHAIN,
    parse_padded_certificate,
)
from buildernet.attestation.collateral.pcs import Fetcher
from buildernet.attestation.errors import CertificateFormatError
from buildernet.base.errors import BuildernetError

MAX_ADDRESSES: Final = 4
"""Azure names four mirrors of each certificate."""


async def fetch_ak_issuers(
    leaf: x509.Certificate, *, fetch: Fetcher
) -> tuple[x509.Certificate, ...]:
    """Return the certificates between an attestation key's and its root, lowest first.

    Args:
        leaf: the attestation key's certificate.
        fetch: reaches the addresses, http as a rule.

    Returns:
        As many as name an address, at most `MAX_CHAIN`; no root.

    Raises:
        CertificateFormatError: no address of a certificate gives its issuer.
    """
    issuers: list[x509.Certificate] = []
    current = leaf
    while len(issuers) < MAX_CHAIN and (addresses := _addresses(current)):
        current = await _fetch_issuer(current, addresses, fetch)
        if current.subject == current.issuer:
            break
        issuers.append(current)
    return tuple(issuers)


async def _fetch_issuer(
    subject: x509.Certificate, addresses: list[str], fetch: Fetcher
) -> x509.Certificate:
    reasons = []
    for address in addresses:
        try:
            body, _ = await fetch(address, limit=MAX_CERTIFICATE_BYTES)
            issuer = parse_padded_certificate(body)
            subject.verify_directly_issued_by(issuer)
        except BuildernetError as exc:
            reasons.append(str(exc))
        except (ValueError, TypeError, InvalidSignature):
            reasons.append(f"{address} holds another certificate")
        else:
            return issuer
    name = subject.subject.rfc4514_string()
    raise CertificateFormatError(f"no issuer for {name}: {'; '.join(reasons)}")


def _addresses(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return []
    except ValueError as exc:
        raise CertificateFormatError(f"extensions of a certificate: {exc}") from exc
    return [
        place.access_location.value
        for place in access.value
        if place.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(place.access_location, x509.UniformResourceIdentifier)
    ][:MAX_ADDRESSES]
