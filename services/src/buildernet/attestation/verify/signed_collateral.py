# SPDX-License-Identifier: MIT
"""Step D: TCB info and QE identity are signed by Intel's TCB signing certificate."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.collateral.tcb_info import (
    QEIdentity,
    TCBInfo,
    parse_qe_identity,
    parse_tcb_info,
)
from buildernet.attestation.verify.certificates import (
    Window,
    check_issued,
    check_signature,
    check_signer,
    parse_chain,
)
from buildernet.attestation.verify.platform import REMEMBERED, AuthenticPlatform
from buildernet.attestation.verify.steps import Step, refusal

TCB_SIGNER_NAME: Final = "SGX TCB Signing"


@dataclass(frozen=True, slots=True)
class AuthenticCollateral:
    """Intel's statements, with the times at which they hold."""

    tcb_info: TCBInfo
    qe_identity: QEIdentity
    windows: tuple[Window, ...]


def authenticate_collateral(
    collateral: Collateral, platform: AuthenticPlatform
) -> AuthenticCollateral:
    """Take step D, but for the times.

    Raises:
        CertificateFormatError: a certificate is damaged.
        CollateralError: signed, yet not what this reader knows.
        VerificationError: not signed by the TCB signing certificate of the platform's root.
    """
    return _authenticate(collateral, _Root(platform))


class _Root:
    """The platform's root and revocation list, equal to each other by the root alone.

    Lets what was found for one platform serve all platforms under the same root: the revocation
    list comes out of the same collateral, which is part of the key of the memory.
    """

    __slots__ = ("platform",)

    def __init__(self, platform: AuthenticPlatform) -> None:
        self.platform = platform

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Root) and self.platform.root.der == other.platform.root.der

    def __hash__(self) -> int:
        return hash(self.platform.root.der)


@lru_cache(maxsize=REMEMBERED)
def _authenticate(collateral: Collateral, root: _Root) -> AuthenticCollateral:
    windows = [
        *_check_signed(
            collateral.tcb_info,
            collateral.tcb_info_signature,
            collateral.tcb_info_issuer_chain,
            "TCB info",
            root.platform,
        ),
        *_check_signed(
            collateral.qe_identity,
            collateral.qe_identity_signature,
            collateral.qe_identity_issuer_chain,
            "QE identity",
            root.platform,
        ),
    ]
    tcb_info = parse_tcb_info(collateral.tcb_info)
    qe_identity = parse_qe_identity(collateral.qe_identity)
    step = Step.SIGNED_COLLATERAL
    windows += [
        Window(step, "TCB info", tcb_info.issued, tcb_info.next_update),
        Window(step, "QE identity", qe_identity.issued, qe_identity.next_update),
    ]
    return AuthenticCollateral(tcb_info, qe_identity, tuple(windows))


def _check_signed(
    data: bytes, signature: bytes, pem: bytes, what: str, platform: AuthenticPlatform
) -> tuple[Window, ...]:
    step = Step.SIGNED_COLLATERAL
    chain = parse_chain(pem, f"issuer chain of {what}")
    if len(chain) != 2:
        raise refusal(step, f"certificates in the issuer chain of {what}", 2, len(chain))
    signer, root = chain
    if root.der != platform.root.der:
        raise refusal(step, f"root of {what}", platform.root.fingerprint, root.fingerprint)
    check_signer(signer, step, TCB_SIGNER_NAME)
    check_issued(signer, root, step)
    platform.root_crl.check(signer, step)
    if len(signature) != 64:
        raise refusal(step, f"bytes in the signature of {what}", 64, len(signature))
    check_signature(
        signer.public_key, signature, data, step=step, what=what, signer=signer.common_name
    )
    return (signer.window(step),)


def forget() -> None:
    """Empty the memory; for measurements of what a first verification costs."""
    _authenticate.cache_clear()
