# SPDX-License-Identifier: MIT
"""The simulated hierarchy as files: one PEM with certificate and key per member."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from buildernet.attestation.collateral import Collateral
from tests.support.minted_chain import MintedChain, default_qe_identity, default_tcb_info, utc
from tests.support.minted_pki import DAY, Issuer, make_crl

PUBLIC_CHAIN: Final = Path(__file__).with_name("public-chain")
"""The chain of the development image: in the source tree, known to everyone."""

ROOT_FILE: Final = "root.pem"
_MEMBERS: Final = ("root", "authority", "pck", "tcb_signer")
_ATTESTATION_KEY: Final = "attestation_key.pem"


def save_chain(chain: MintedChain, directory: Path) -> None:
    """Write a chain; the directory must exist."""
    for member in _MEMBERS:
        issuer: Issuer = getattr(chain, member)
        (directory / f"{member}.pem").write_bytes(issuer.pem + _encode(issuer.key))
    (directory / _ATTESTATION_KEY).write_bytes(_encode(chain.attestation_key))


def load_chain(directory: Path = PUBLIC_CHAIN) -> MintedChain:
    """Read a chain that `save_chain` wrote.

    Raises:
        OSError: a file is missing.
        ValueError: a file is damaged.
    """
    members = {name: _load(directory / f"{name}.pem") for name in _MEMBERS}
    key = _decode((directory / _ATTESTATION_KEY).read_bytes())
    return MintedChain(**members, attestation_key=key)


def collateral_at(chain: MintedChain, at: int) -> Collateral:
    """Make collateral that is valid from a day before to 29 days after a Unix time."""
    moment = datetime.fromtimestamp(at, UTC)
    dates = {"issueDate": utc(moment - DAY), "nextUpdate": utc(moment + 29 * DAY)}
    root_ca_crl, pck_crl = (
        make_crl(issuer, this_update=moment - DAY, next_update=moment + 29 * DAY)
        for issuer in (chain.root, chain.authority)
    )
    return chain.collateral(
        tcb_info={**default_tcb_info(), **dates},
        qe_identity={**default_qe_identity(), **dates},
        root_ca_crl=root_ca_crl,
        pck_crl=pck_crl,
    )


def _encode(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _decode(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("key of the simulated chain is not an EC key")
    return key


def _load(path: Path) -> Issuer:
    pem = path.read_bytes()
    return Issuer(
        x509.load_pem_x509_certificate(pem), _decode(pem[pem.index(b"-----BEGIN PRIV") :])
    )
