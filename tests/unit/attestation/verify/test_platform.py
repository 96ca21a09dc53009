# SPDX-License-Identifier: MIT
"""Steps B and C: certificates and revocation lists of the platform."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from buildernet.attestation.errors import (
    CertificateFormatError,
    VerificationError,
)
from buildernet.attestation.verify import (
    verify_quote,
)
from tests.support.minted_chain import (
    MINTED_AT,
    MintedChain,
    mint_chain,
)
from tests.support.minted_pki import DAY, NOW, Issuer, issue, make_crl, sgx_extension
from tests.support.quote_verification import CHAIN, COLLATERAL, refused, verify


def test_simulated_root_is_not_trusted_by_default() -> None:
    with pytest.raises(VerificationError, match="step B: root certificate"):
        verify_quote(
            CHAIN.quote(),
            collateral=COLLATERAL,
            at=MINTED_AT,
            report_data=None,
            measurements=None,
        )


def test_root_on_its_own_revocation_list_is_refused() -> None:
    crl = make_crl(CHAIN.root, CHAIN.root)
    refused("B", "SGX Root CA", collateral=replace(COLLATERAL, root_ca_crl=crl))


def test_root_of_another_role_is_refused() -> None:
    root = issue("SIMULATED Root", None, is_authority=True, path_length=1)
    refused("B", "role", chain=replace(CHAIN, root=root), collateral=COLLATERAL)


# C


ROOT = "SIMULATED SGX Root CA"
PLATFORM = "SIMULATED SGX PCK Platform CA"
LEAF = "SIMULATED SGX PCK Certificate"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"authority": ("SIMULATED SGX PCK Other CA", True, 0)}, "role"),
        ({"authority": ("SIMULATED SGX PCK Platform CA", False, None)}, "Platform CA"),
        ({"authority": ("SIMULATED SGX PCK Processor CA", True, 0)}, "PCK CRL"),
        ({"pck": ("SIMULATED SGX TCB Signing", False, None)}, "role"),
        ({"pck": ("SIMULATED SGX PCK Certificate", True, 0)}, "PCK Certificate"),
    ],
)
def test_certificates_in_other_roles_are_refused(
    changes: Mapping[str, tuple[str, bool, int | None]], what: str
) -> None:
    ((part, (name, is_authority, length)),) = changes.items()
    issuer = CHAIN.root if part == "authority" else CHAIN.authority
    made = issue(
        name, issuer, is_authority=is_authority, path_length=length, extension=sgx_extension()
    )
    replaced: dict[str, Any] = {part: made}
    chain = replace(CHAIN, **replaced)
    if part == "authority":
        pck = issue("SIMULATED SGX PCK Certificate", made, extension=sgx_extension())
        chain = replace(chain, pck=pck)
    refused("C", what, chain=chain)


def test_certificate_of_another_issuer_is_refused() -> None:
    other = mint_chain()
    chain = replace(CHAIN, pck=other.pck)
    refused("C", "signature of certificate SIMULATED SGX PCK Certificate", chain=chain)


@pytest.mark.parametrize("part", ["pck", "authority"])
def test_revoked_certificates_are_refused(part: str) -> None:
    crls = {
        "pck": {"pck_crl": make_crl(CHAIN.authority, CHAIN.pck)},
        "authority": {"root_ca_crl": make_crl(CHAIN.root, CHAIN.authority)},
    }
    error = refused("C", "certificate", collateral=replace(COLLATERAL, **crls[part]))
    assert "revoked" in error.actual


@pytest.mark.parametrize("name", ["root_ca_crl", "pck_crl"])
@pytest.mark.parametrize(
    "times",
    [{"this_update": NOW + DAY}, {"next_update": NOW - DAY, "this_update": NOW - 2 * DAY}],
)
def test_revocation_lists_of_other_times_are_refused(name: str, times: dict[str, Any]) -> None:
    issuer = CHAIN.root if name == "root_ca_crl" else CHAIN.authority
    collateral = replace(COLLATERAL, **{name: make_crl(issuer, **times)})
    refused("C", "CRL", collateral=collateral)


def test_revocation_lists_of_other_issuers_are_refused() -> None:
    other = mint_chain()
    refused("C", "CRL", collateral=replace(COLLATERAL, root_ca_crl=make_crl(other.root)))
    refused("C", "CRL", collateral=replace(COLLATERAL, pck_crl=make_crl(CHAIN.root)))


def test_revocation_list_without_number_is_refused() -> None:
    crl = make_crl(CHAIN.authority, numbered=False)
    with pytest.raises(CertificateFormatError, match="PCK CRL cannot be read"):
        verify(collateral=replace(COLLATERAL, pck_crl=crl))


def test_issuer_chain_of_the_pck_crl_must_be_the_platforms() -> None:
    other = mint_chain()
    strange = other.authority.pem + other.root.pem
    refused("C", "issuer chain", collateral=replace(COLLATERAL, pck_crl_issuer_chain=strange))
    with pytest.raises(CertificateFormatError):
        verify(collateral=replace(COLLATERAL, pck_crl_issuer_chain=b""))


def test_expired_certificate_is_refused() -> None:
    pck = issue(
        "SIMULATED SGX PCK Certificate",
        CHAIN.authority,
        extension=sgx_extension(),
        not_after=NOW - DAY,
    )
    error = refused("C", "time of certificate", chain=replace(CHAIN, pck=pck))
    assert error.actual == "2026-05-28T20:26:40Z"
    assert "step C: time of certificate SIMULATED SGX PCK Certificate: expected 20" in str(error)


@pytest.mark.parametrize("count", [1, 2])
def test_incomplete_chain_is_refused(count: int) -> None:
    pems = (CHAIN.pck.pem, CHAIN.authority.pem)[:count]
    with pytest.raises(CertificateFormatError, match=f"PCK chain has {count} certificates"):
        verify(quote=CHAIN.quote(chain=b"".join(pems)))


def test_leaf_without_extension_is_refused() -> None:
    pck = issue("SIMULATED SGX PCK Certificate", CHAIN.authority)
    with pytest.raises(CertificateFormatError, match="no SGX extension"):
        verify(chain=replace(CHAIN, pck=pck))


def test_chain_may_come_with_the_collateral() -> None:
    collateral = replace(COLLATERAL, pck_certificate_chain=CHAIN.pck_chain)
    assert verify(quote=CHAIN.quote(chain=b"\x30\x00"), collateral=collateral)


def test_trusted_certificate_must_be_a_root() -> None:
    root = issue(ROOT, CHAIN.root, is_authority=True, path_length=1)
    refused("B", "signature of certificate", chain=replace(CHAIN, root=root))


def test_root_that_may_have_no_authority_below_it_is_refused() -> None:
    chain = below(issue(ROOT, None, is_authority=True, path_length=0))
    error = refused("B", ROOT, chain=chain, collateral=chain.collateral())
    assert error.expected == "path length 1"


def below(root: Issuer, **authority: Any) -> MintedChain:
    """A whole chain below a root."""
    given = {"is_authority": True, "path_length": 0} | authority
    middle = issue(PLATFORM, root, **given)
    pck = issue(LEAF, middle, extension=sgx_extension())
    return MintedChain(root, middle, pck, issue("SIMULATED SGX TCB Signing", root))


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ({"is_authority": False, "path_length": None, "signs_data": False}, "a CA"),
        ({"signs_data": True}, "keyCertSign and cRLSign"),
    ],
)
def test_each_right_of_an_authority_is_needed(authority: dict[str, Any], expected: str) -> None:
    chain = below(CHAIN.root, **authority)
    assert refused("C", PLATFORM, chain=chain, collateral=chain.collateral()).expected == expected


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        ({"is_authority": True, "path_length": 0, "signs_data": True}, "no CA"),
        ({"signs_data": False}, "digitalSignature"),
    ],
)
def test_each_limit_of_a_leaf_is_needed(leaf: dict[str, Any], expected: str) -> None:
    pck = issue(LEAF, CHAIN.authority, extension=sgx_extension(), **leaf)
    assert refused("C", LEAF, chain=replace(CHAIN, pck=pck)).expected == expected


def test_authority_with_the_right_key_and_no_signature_of_the_root_is_refused() -> None:
    other = mint_chain().root  # of the same name
    authority = issue(PLATFORM, other, is_authority=True, path_length=0, key=CHAIN.authority.key)
    refused("C", f"signature of certificate {PLATFORM}", chain=replace(CHAIN, authority=authority))


def test_critical_extensions_must_be_understood() -> None:
    pck = issue(LEAF, CHAIN.authority, extension=sgx_extension(), critical=True)
    for changes in (
        {"chain": replace(CHAIN, pck=pck)},
        {"collateral": replace(COLLATERAL, pck_crl=make_crl(CHAIN.authority, critical=True))},
    ):
        with pytest.raises(CertificateFormatError, match=r"1\.2\.3\.4 is not understood"):
            verify(**changes)


def test_revocation_list_under_another_name_is_refused() -> None:
    crl = make_crl(CHAIN.authority, issuer_name=CHAIN.root.certificate.subject)
    refused("C", "issuer of PCK CRL", collateral=replace(COLLATERAL, pck_crl=crl))


def test_revocation_list_with_a_damaged_signature_is_refused() -> None:
    crl = bytearray(COLLATERAL.pck_crl)
    crl[-1] ^= 1
    refused("C", "signature of PCK CRL", collateral=replace(COLLATERAL, pck_crl=bytes(crl)))
