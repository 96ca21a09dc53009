# SPDX-License-Identifier: MIT
"""Our verifier against dcap-qvl: what it refuses, we refuse; where we are stricter is listed."""

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from random import Random
from typing import Any, Final

import pytest

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.quote import BodyType, parse_quote
from tests.support.minted_chain import (
    MINTED_AT,
    Domain,
    Enclave,
    MintedChain,
    default_qe_identity,
    default_tcb_info,
    level,
    mint_chain,
    platform_level,
    shared_chain,
)
from tests.support.second_opinion import STRICTER, ours, theirs
from tests.support.shared_data import ROOT

pytestmark = pytest.mark.interop

Case = tuple[bytes, Collateral, bytes, int]

STATUSES: Final = (
    "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
    "OutOfDate", "OutOfDateConfigurationNeeded", "Revoked",
)  # fmt: skip
ENCLAVE_STATUSES: Final = ("UpToDate", "UpToDate", "OutOfDate", "Revoked", "SWHardeningNeeded")
DAY: Final = 86_400


def compare(case: Case) -> bool:
    """Compare both verdicts; True if the evidence was accepted by both."""
    us, them = ours(*case), theirs(*case)
    if us.status is None:
        if them.status is not None:
            assert any(re.search(rule.pattern, us.reason) for rule in STRICTER), us.reason
        return False
    assert them.status is not None, f"dcap-qvl refuses what we accept: {them.reason}"
    if us.status != them.status:  # a running TDX module that is out of date
        assert us.status.startswith("OutOfDate"), (us, them)
        assert parse_quote(case[0]).body_type is not BodyType.TD_1_0
        return False
    if parse_quote(case[0]).body_type is BodyType.TD_1_0:
        assert us.advisories == them.advisories
    assert us.advisories >= them.advisories  # those of the running module's level as well
    return True


def flip(data: bytes, random: Random) -> bytes:
    """Damage bytes: flip a bit, cut, insert or repeat."""
    position = random.randrange(len(data))
    match random.randrange(8):
        case 0:
            return data[:position]
        case 1:
            return data[:position] + random.randbytes(random.randrange(1, 9)) + data[position:]
        case 2:
            return data[:position] + data[position + random.randrange(1, 9) :]
        case _:
            changed = bytearray(data)
            changed[position] ^= 1 << random.randrange(8)
            return bytes(changed)


def damaged(random: Random, chain: MintedChain, collateral: Collateral) -> Case:
    """Damage quote or one field of the collateral without signing again."""
    kind = random.choice([Domain(), Domain(version=5), Domain(version=5, body_type=3)])
    quote = chain.quote(kind)
    if random.random() < 0.6:
        quote = flip(quote, random)
    else:
        name = random.choice([f.name for f in fields(Collateral)][:-1])
        collateral = replace(collateral, **{name: flip(getattr(collateral, name), random)})
        try:
            collateral.tcb_info.decode(), collateral.qe_identity.decode()
            for name in ("pck_crl", "tcb_info", "qe_identity"):
                getattr(collateral, f"{name}_issuer_chain").decode()
        except UnicodeDecodeError:
            return damaged(random, chain, collateral=chain.collateral())
    return quote, collateral, chain.root.der, MINTED_AT


def random_svn(random: Random) -> bytes:
    """Return TEE_TCB_SVN around the levels of the minted TCB info."""
    tail = bytes(random.choice([1, 2, 2, 2, 3]) for _ in range(14))
    return bytes([random.randrange(7), random.choice([0, 1, 1, 1, 2])]) + tail


def random_domain(random: Random) -> Domain:
    """Return a domain with some fields out of the ordinary."""
    domain = random.choice(
        [
            Domain(),
            Domain(version=5),
            Domain(version=5, body_type=3),
            Domain(version=5, body_type=4),
        ]
    )
    changes: dict[str, Any] = {
        "td_attributes": (1 << 28) ^ (1 << random.randrange(64)),
        "xfam": 0x602E7 ^ (1 << random.randrange(64)),
        "mrsignerseam": random.randbytes(48),
        "seam_attributes": 1 << random.randrange(64),
        "mr_config_id": random.randbytes(48),
        "mr_service_td": random.randbytes(48),
        "tee_tcb_svn": random_svn(random),
        "tee_tcb_svn2": random_svn(random),
        "report_data": random.randbytes(64),
    }
    weights = [1, 1, 1, 1, 1, 1, 12, 12, 4]
    chosen = random.choices(list(changes), weights, k=random.randrange(3))
    return replace(domain, **{name: changes[name] for name in chosen})


def random_enclave(random: Random) -> Enclave:
    """Return a quoting enclave, seldom the ordinary one."""
    changes: dict[str, Any] = {
        "misc_select": 1 << random.randrange(32),
        "attributes": (0x11 ^ (1 << random.randrange(128))).to_bytes(16, "little"),
        "mrsigner": random.randbytes(32),
        "isv_prod_id": random.randrange(1 << 16),
        "isv_svn": random.randrange(8),
        "report_data": random.randbytes(64),
    }
    name = random.choice([*changes, "isv_svn", "isv_svn"])
    return replace(Enclave(), **({name: changes[name]} if random.random() < 0.4 else {}))


def random_collateral(random: Random, chain: MintedChain) -> Collateral:
    """Return well-signed collateral with other levels."""
    tcb_info, identity = default_tcb_info(), default_qe_identity()
    if random.random() < 0.7:
        tcb_info["tcbLevels"] = [
            platform_level(
                random.choice(STATUSES),
                sgx=random.randrange(1, 5),
                tdx=random.randrange(1, 4),
                pce=random.randrange(11, 15),
                module=random.choice([0, 0, 0, 5]),
            )
            for _ in range(random.randrange(1, 5))
        ]
    if random.random() < 0.4:
        tcb_info["tdxModuleIdentities"][0]["tcbLevels"] = levels_of_enclave(random)
    if random.random() < 0.4:
        identity["tcbLevels"] = levels_of_enclave(random)
    if random.random() < 0.1:
        name = random.choice(["fmspc", "pceId", "id", "version", "tcbType"])
        tcb_info[name] = random.choice(["00806F050000", "0001", "SGX", 2, 1])
    if random.random() < 0.1:
        identity[random.choice(["id", "version"])] = random.choice(["QE", 1, 3])
    return chain.collateral(tcb_info=tcb_info, qe_identity=identity)


def levels_of_enclave(random: Random) -> list[dict[str, Any]]:
    """Return up to four levels, in order and without repetition."""
    svns = sorted(random.sample(range(8), random.randrange(1, 5)), reverse=True)
    return [level(random.choice(ENCLAVE_STATUSES), isvsvn=svn) for svn in svns]


def resigned(random: Random, chain: MintedChain) -> Case:
    """Change meaning and sign again, so that the deep checks decide."""
    at = MINTED_AT + random.choice([0] * 8 + [-2 * DAY, 29 * DAY + 5, 40 * DAY, -400 * DAY])
    quote = chain.quote(random_domain(random), random_enclave(random))
    return quote, random_collateral(random, chain), chain.root.der, at


def cases(count: int, seed: int) -> Iterator[Case]:
    """Half of them damaged, half changed and signed again."""
    random, chain = Random(seed), shared_chain()
    collateral = chain.collateral()
    for number in range(count):
        yield damaged(random, chain, collateral) if number % 2 else resigned(random, chain)


@pytest.mark.parametrize("svn", [{}, {"svn": 2}, {"pce_svn": 5}, {"pce_id": b"\1\0"}])
def test_other_platforms(svn: dict[str, Any]) -> None:
    chain = mint_chain(**svn)
    compare((chain.quote(), chain.collateral(), chain.root.der, MINTED_AT))


def test_a_hundred_mutations() -> None:
    accepted = [compare(case) for case in cases(120, seed=1)]
    assert any(accepted)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2, 12))
def test_thousands_of_mutations(seed: int) -> None:
    accepted = [compare(case) for case in cases(1000, seed=seed)]
    assert 20 < sum(accepted) < 500, "the mutations are all alike"


def test_every_stricter_refusal_is_documented() -> None:
    page = (ROOT / "docs/protocols/tdx-verification.md").read_text()
    assert [rule.why for rule in STRICTER if f"| {rule.why} |" not in page] == []
