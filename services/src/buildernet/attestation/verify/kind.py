# SPDX-License-Identifier: MIT
"""Which collateral a quote needs, and which of a file fits; believed only after verification."""

from collections.abc import Iterable

from buildernet.attestation.collateral.cache import kind_of
from buildernet.attestation.collateral.collateral import Collateral
from buildernet.attestation.collateral.kind import PCKAuthority, PlatformKind
from buildernet.attestation.errors import CertificateFormatError, CollateralError
from buildernet.attestation.quote import Quote
from buildernet.attestation.verify.certificates import parse_chain
from buildernet.attestation.verify.pck_extension import parse_pck_extension


def platform_kind(quote: Quote) -> PlatformKind:
    """Return the kind of platform that the quote's chain names.

    Raises:
        CertificateFormatError: the chain is damaged or not a PCK chain.
    """
    chain = parse_chain(quote.signature.certification, "PCK chain")
    if len(chain) < 2 or chain[0].sgx_extension is None:
        raise CertificateFormatError("PCK chain has no PCK certificate with its CA")
    for authority in PCKAuthority:
        if f"PCK {authority.capitalize()} CA" in chain[1].common_name:
            fmspc = parse_pck_extension(chain[0].sgx_extension).fmspc
            return PlatformKind(fmspc, authority)
    raise CertificateFormatError(f"PCK chain is issued by {chain[1].common_name[:100]!r}")


def select_collateral(quote: Quote, collaterals: Iterable[Collateral]) -> Collateral:
    """Return what fits the quote's platform; a single one is returned unseen.

    Raises:
        CollateralError: none fits.
        CertificateFormatError: the quote's chain is damaged.
    """
    choices = tuple(collaterals)
    if len(choices) == 1:
        return choices[0]
    kind = platform_kind(quote)
    for collateral in choices:
        if kind_of(collateral) == kind:
            return collateral
    raise CollateralError(
        f"no collateral for {kind}", hint="the bundle was exported for other kinds of platform"
    )
