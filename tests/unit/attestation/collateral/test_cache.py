# SPDX-License-Identifier: MIT
"""Collateral is fetched once, kept, renewed in time, and refused when stale."""

import asyncio

import pytest

from buildernet.attestation.collateral import (
    INTEL_PCS,
    CollateralService,
    PCKAuthority,
    PlatformKind,
)
from buildernet.attestation.collateral.cache import (
    RENEW_BEFORE,
    CollateralCache,
    kind_of,
    next_update,
)
from buildernet.attestation.errors import CollateralError, StaleCollateralError
from tests.support.minted_chain import MINTED_AT, shared_chain
from tests.support.minted_pki import FMSPC
from tests.support.provisioning_service import ProvisioningService

COLLATERAL = shared_chain().collateral()
KIND = PlatformKind(FMSPC, PCKAuthority.PLATFORM)
STALE_AT = next_update(COLLATERAL)
REQUESTS = 4


class Memory(dict[str, bytes]):
    """A store in memory."""

    def read(self, name: str) -> bytes | None:
        return self.get(name)

    def write(self, name: str, data: bytes) -> None:
        self[name] = data


class Bench:
    """A cache with its surroundings, the clock in the test's hand."""

    def __init__(
        self, store: Memory | None = None, service: CollateralService | None = INTEL_PCS
    ) -> None:
        self.now = float(MINTED_AT)
        self.service = ProvisioningService(COLLATERAL)
        self.store = Memory() if store is None else store
        self.cache = CollateralCache(
            service=service, fetch=self.service, store=self.store, clock=lambda: self.now
        )


def test_collateral_says_what_it_is_about() -> None:
    assert kind_of(COLLATERAL) == KIND
    assert str(KIND) == "50806f000000-platform"
    assert MINTED_AT + RENEW_BEFORE < STALE_AT < MINTED_AT + 30 * 86_400


async def test_concurrent_requests_fetch_once() -> None:
    bench = Bench()
    results = await asyncio.gather(*(bench.cache.get(KIND) for _ in range(20)))
    assert results == [COLLATERAL] * 20
    assert len(bench.service.urls) == REQUESTS
    assert bench.cache.ready(KIND) == COLLATERAL


async def test_restart_reads_the_store() -> None:
    first = Bench()
    await first.cache.get(KIND)
    second = Bench(first.store)
    assert await second.cache.get(KIND) == COLLATERAL
    assert second.service.urls == []


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"])
async def test_damaged_store_is_fetched_again(data: bytes) -> None:
    bench = Bench(Memory({f"collateral-{KIND}.json": data}))
    assert await bench.cache.get(KIND) == COLLATERAL
    assert len(bench.service.urls) == REQUESTS


async def test_renewal_is_tried_in_time_and_its_failure_tolerated() -> None:
    bench = Bench()
    await bench.cache.get(KIND)
    bench.service.is_down = True
    bench.now = STALE_AT - RENEW_BEFORE + 1
    assert await bench.cache.get(KIND) == COLLATERAL
    assert len(bench.service.urls) == REQUESTS + 1


async def test_stale_collateral_is_refused() -> None:
    bench = Bench()
    await bench.cache.get(KIND)
    bench.service.is_down = True
    bench.now = STALE_AT + 1
    for attempt in (bench.cache.get(KIND), asyncio.to_thread(bench.cache.ready, KIND)):
        with pytest.raises(StaleCollateralError, match=f"stale at {STALE_AT}"):
            await attempt


async def test_nothing_is_ready_before_it_is_fetched() -> None:
    bench = Bench()
    with pytest.raises(CollateralError, match="no collateral for"):
        bench.cache.ready(KIND)
    await bench.cache.prewarm([KIND])
    assert bench.cache.ready(KIND)


async def test_prewarming_survives_a_dead_service() -> None:
    bench = Bench()
    bench.service.is_down = True
    await bench.cache.prewarm([KIND])
    with pytest.raises(CollateralError, match="simulated service is down"):
        await bench.cache.get(KIND)


async def test_answers_about_another_platform_are_refused() -> None:
    bench = Bench()
    with pytest.raises(CollateralError, match="answered about 50806f000000-platform"):
        await bench.cache.get(PlatformKind(bytes(6), PCKAuthority.PLATFORM))


async def test_bundle_serves_a_machine_without_network() -> None:
    online, offline = Bench(), Bench(service=None)
    await online.cache.get(KIND)
    with pytest.raises(CollateralError, match="offline"):
        await offline.cache.get(KIND)
    assert offline.cache.import_bundle(online.cache.export_bundle().encode()) == (KIND,)
    assert await offline.cache.get(KIND) == COLLATERAL
    assert offline.service.urls == []
    assert await Bench(offline.store, service=None).cache.get(KIND) == COLLATERAL


def test_fmspc_has_six_bytes() -> None:
    with pytest.raises(CollateralError):
        PlatformKind(bytes(5), PCKAuthority.PLATFORM)
