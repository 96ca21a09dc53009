# SPDX-License-Identifier: MIT
"""Steps B and C: the platform's certificates end in a trusted root, and none is revoked.

What does not depend on the time is done once per chain and collateral and remembered; the times of
validity are handed on as windows and checked at every verification.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import CertificateFormatError
from buildernet.attestation.verify.anchors import TrustAnchors
from buildernet.attestation.verify.certificates import (
    Certificate,
    Window,
    check_authority,
    check_issued,
    check_signer,
    parse_chain,
)
from buildernet.attestation.verify.pck_extension import PCKExtension, parse_pck_extension
from buildernet.attestation.verify.revocation import RevocationList, authenticate_crl
from buildernet.attestation.verify.steps import Step, refusal

REMEMBERED: Final = 64
"""Chains and collaterals remembered: one per host a verifier talks to, at some 20 KiB each."""

ROOT_NAME: Final = "SGX Root CA"
PCK_CA_NAMES: Final = ("SGX PCK Platform CA", "SGX PCK Processor CA")
PCK_NAME: Final = "SGX PCK Certificate"

PCK_CHAIN_LENGTH: Final = 3


@dataclass(frozen=True, slots=True)
class AuthenticPlatform:
    """A platform's certified identity."""

    name: str
    root: Certificate
    root_crl: RevocationList
    extension: PCKExtension
    windows: tuple[Window, ...]
    key: ec.EllipticCurvePublicKey = field(repr=False)


@lru_cache(maxsize=REMEMBERED)
def authenticate_platform(
    chain: bytes, collateral: Collateral, anchors: TrustAnchors
) -> AuthenticPlatform:
    """Take steps B and C, but for the times.

    Args:
        chain: PCK leaf, PCK CA and root, in PEM.
        collateral: for the revocation lists.
        anchors: trusted roots.

    Raises:
        CertificateFormatError: a certificate or list is damaged.
        VerificationError: step B or C failed.
    """
    certificates = parse_chain(chain, "PCK chain")
    if len(certificates) != PCK_CHAIN_LENGTH:
        raise CertificateFormatError(f"PCK chain has {len(certificates)} certificates, not 3")
    leaf, authority, root = certificates
    root_crl = _check_anchor(root, collateral, anchors)
    check_authority(authority, Step.PCK_CHAIN, PCK_CA_NAMES, depth=0)
    check_issued(authority, root, Step.PCK_CHAIN)
    check_signer(leaf, Step.PCK_CHAIN, PCK_NAME)
    check_issued(leaf, authority, Step.PCK_CHAIN)
    root_crl.check(authority, Step.PCK_CHAIN)
    _check_crl_chain(collateral.pck_crl_issuer_chain, authority, root)
    pck_crl = authenticate_crl(collateral.pck_crl, authority, "PCK CRL")
    pck_crl.check(leaf, Step.PCK_CHAIN)
    if leaf.sgx_extension is None:
        raise CertificateFormatError("PCK certificate has no SGX extension")
    return AuthenticPlatform(
        name=authority.common_name,
        root=root,
        root_crl=root_crl,
        extension=parse_pck_extension(leaf.sgx_extension),
        windows=(
            *(certificate.window(Step.PCK_CHAIN) for certificate in certificates),
            root_crl.window,
            pck_crl.window,
        ),
        key=leaf.public_key,
    )


def _check_anchor(
    root: Certificate, collateral: Collateral, anchors: TrustAnchors
) -> RevocationList:
    """Take step B."""
    if root.der not in anchors.roots:
        trusted = f"one of {len(anchors.roots)} trusted"
        hint = "a simulated or foreign root is trusted only if it is named explicitly"
        raise refusal(Step.ANCHOR, "root certificate", trusted, root.fingerprint, hint=hint)
    check_authority(root, Step.ANCHOR, (ROOT_NAME,), depth=1)
    check_issued(root, root, Step.ANCHOR)
    root_crl = authenticate_crl(collateral.root_ca_crl, root, "root CRL")
    root_crl.check(root, Step.ANCHOR)
    return root_crl


def _check_crl_chain(pem: bytes, authority: Certificate, root: Certificate) -> None:
    """Check that the PCK CRL is said to be of the CA that issued the leaf."""
    chain = parse_chain(pem, "issuer chain of the PCK CRL")
    if len(chain) != 2 or chain[1].der != root.der:
        raise refusal(Step.PCK_CHAIN, "issuer chain of the PCK CRL", "PCK CA and root", "another")
    check_issued(chain[0], root, Step.PCK_CHAIN)
    if (
        chain[0].source.subject != authority.source.subject
        or chain[0].public_key != authority.public_key
    ):
        raise refusal(
            Step.PCK_CHAIN,
            "issuer of the PCK CRL",
            authority.common_name,
            chain[0].common_name,
            hint="collateral is for another kind of platform",
        )
