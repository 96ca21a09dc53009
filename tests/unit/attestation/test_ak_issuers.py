# SPDX-License-Identifier: MIT
"""Intermediates by the addresses that certificates name."""

from __future__ import annotations

import asyncio

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from buildernet.attestation.ak_chain import MAX_CHAIN
from buildernet.attestation.ak_issuers import MAX_ADDRESSES, fetch_ak_issuers
from buildernet.attestation.errors import CertificateFormatError
from buildernet.net.errors import FetchError
from tests.support.tpm_quotes import make_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = make_certificate("root", KEY)


def below(issuer: x509.Certificate, name: str, *addresses: str) -> x509.Certificate:
    """A certificate that names where its issuer is."""
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(address)
            )
            for address in addresses
        ]
    )
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
    )
    if addresses:
        builder = builder.add_extension(access, critical=False)
    return builder.sign(KEY, hashes.SHA256())


class Web:
    """Serves certificates by address, and keeps what it was asked for."""

    def __init__(self, **pages: x509.Certificate | bytes) -> None:
        self.pages = {f"http://{name}": page for name, page in pages.items()}
        self.asked: list[str] = []

    async def __call__(self, url: str, *, limit: int) -> tuple[bytes, dict[str, str]]:
        self.asked.append(url)
        page = self.pages.get(url)
        if page is None:
            raise FetchError(f"{url}: status 404")
        data = page if isinstance(page, bytes) else page.public_bytes(Encoding.DER)
        assert len(data) <= limit
        return data, {}


def test_chain_is_followed_to_below_the_root():
    upper = below(ROOT, "upper", "http://root")
    lower = below(upper, "lower", "http://upper")
    leaf = below(lower, "leaf", "http://lower")
    web = Web(root=ROOT, upper=upper, lower=lower)
    assert asyncio.run(fetch_ak_issuers(leaf, fetch=web)) == (lower, upper)


def test_certificate_without_addresses_asks_nobody():
    web = Web()
    assert asyncio.run(fetch_ak_issuers(below(ROOT, "leaf"), fetch=web)) == ()
    assert web.asked == []


def test_first_address_that_has_the_issuer_counts():
    upper = below(ROOT, "upper")
    leaf = below(upper, "leaf", "http://gone", "http://garbage", "http://other", "http://good")
    web = Web(garbage=b"<html>", other=ROOT, good=upper)
    assert asyncio.run(fetch_ak_issuers(leaf, fetch=web)) == (upper,)


def test_no_address_with_the_issuer_is_an_error_with_each_reason():
    leaf = below(ROOT, "leaf", *(f"http://{place}" for place in "abcdef"))
    web = Web(a=b"<html>", b=below(ROOT, "other"))
    with pytest.raises(CertificateFormatError, match=r"not DER.*another certificate.*404"):
        asyncio.run(fetch_ak_issuers(leaf, fetch=web))
    assert len(web.asked) == MAX_ADDRESSES


def test_endless_chain_ends():
    two = below(below(ROOT, "one"), "two", "http://one")
    one = below(two, "one", "http://two")
    web = Web(one=one, two=two)
    leaf = below(one, "leaf", "http://one")
    assert asyncio.run(fetch_ak_issuers(leaf, fetch=web)) == (one, two) * (MAX_CHAIN // 2)
