# SPDX-License-Identifier: MIT
"""Time of one quote verification, ours beside dcap-qvl: `python -m tests.bench quotes`.

Warm: chain and collateral were seen before, as for every connection but the first to a node. Cold:
nothing is remembered. dcap-qvl remembers nothing; its parsed collateral is made outside the clock
for the warm figure and inside it for the cold one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Final

import dcap_qvl  # type: ignore[import-untyped] # ships no stubs

from buildernet.attestation.collateral import parse_collateral
from buildernet.attestation.verify import TrustAnchors, platform, signed_collateral, verify_quote
from tests.bench.figures import Figure
from tests.support.minted_chain import MINTED_AT, mint_chain
from tests.support.second_opinion import dcap_collateral
from tests.support.shared_data import shared_file

ROUNDS: Final = 300
WARM_AIM: Final = 1.0
FOLDER: Final = "attestation/dcap-qvl-0.7.0-sdist"
REAL_AT: Final = 1750332747


@dataclass(frozen=True)
class Comparison:
    """Median times in milliseconds."""

    name: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Below 1 we are faster."""
        return self.ours / self.theirs


def forget() -> None:
    """Empty what the verifier remembers."""
    platform.authenticate_platform.cache_clear()
    signed_collateral.forget()


def measure(work: Callable[[], object], before: Callable[[], None] = lambda: None) -> float:
    """Return the median time of one call in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        before()
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return median(times) * 1000


def compare() -> list[Comparison]:
    """Measure a real quote under Intel's root and a minted one under its own."""
    chain = mint_chain()
    real = parse_collateral(shared_file(f"{FOLDER}/tdx_quote_collateral.json").read_bytes())[0]
    quote = shared_file(f"{FOLDER}/tdx_quote").read_bytes()
    cases = [
        ("real quote", quote, real, TrustAnchors(), REAL_AT),
        ("minted quote", chain.quote(), chain.collateral(), TrustAnchors((chain.root.der,)),
         MINTED_AT),
    ]  # fmt: skip
    found = []
    for name, data, collateral, roots, at in cases:
        parsed = dcap_collateral(collateral)

        def ours(data=data, collateral=collateral, roots=roots, at=at):
            verify_quote(
                data,
                collateral=collateral,
                at=at,
                report_data=None,
                measurements=None,
                roots=roots,
            )

        def theirs(data=data, parsed=parsed, roots=roots, at=at):
            dcap_qvl.verify_with_root_ca(data, parsed, roots.roots[0], at)

        def theirs_cold(data=data, collateral=collateral, roots=roots, at=at):
            parsed = dcap_collateral(collateral)
            dcap_qvl.verify_with_root_ca(data, parsed, roots.roots[0], at)

        found.append(Comparison(f"{name}, warm", measure(ours), measure(theirs)))
        found.append(Comparison(f"{name}, cold", measure(ours, forget), measure(theirs_cold)))
    return found


def measure_quotes() -> Iterator[Figure]:
    """Both times of each comparison and their ratio."""
    for found in compare():
        yield Figure(f"verify {found.name}", found.ours, "ms")
        yield Figure(f"dcap-qvl: verify {found.name}", found.theirs, "ms")
        aim = WARM_AIM if found.name.endswith("warm") else None
        yield Figure(f"verify {found.name} / dcap-qvl's", found.ratio, "", aim)
