# SPDX-License-Identifier: MIT
"""The hub behind our own attested proxy: what a node's evidence becomes at the other end."""

from buildernet.attested_proxy.config import ServerConfig
from tests.support.attested_tls import (
    MRTD,
    NO_DEMANDS,
    RTMR1,
    SimulatedIssuer,
    attested_client,
    attested_server,
    demanding,
)
from tests.support.builder_hub import API, RunningHub, instance_headers

IMAGE = {
    "measurement_id": "simulated",
    "attestation_type": "dcap-tdx",
    "measurements": {"mrtd": MRTD.hex(), "rtmr1": RTMR1.hex()},
}


async def test_evidence_opens_the_hub_and_headers_do_not(sqlite_hub: RunningHub) -> None:
    await sqlite_hub.add_measurement(IMAGE)
    await sqlite_hub.add_builder("alpha", ip="127.0.0.1")
    await sqlite_hub.add_builder("victim", ip="1.2.3.4")
    server = ServerConfig(target_addr=f"http://127.0.0.1:{sqlite_hub.instance_port}")
    # What another proxy let through, a caller may not say himself.
    forged = instance_headers(registers={"0": MRTD.hex(), "2": RTMR1.hex()})
    async with (
        attested_server(server, judge=demanding()) as proxy,
        attested_client(proxy.port, judge=NO_DEMANDS, issuer=SimulatedIssuer()) as (node, _),
    ):
        async with node.get(f"{API}/builders", headers=forged) as answer:
            assert answer.status == 200
            assert [entry["name"] for entry in await answer.json()] == ["alpha", "victim"]
        async with node.get(f"{API}/configuration", headers=forged) as answer:
            assert answer.status == 200
        (event,) = await sqlite_hub.get("/events")
        assert event["builder_name"] == "alpha"
        async with node.get("/drain") as answer:
            assert answer.status == 403
        async with node.get("/api/internal/l1-builder/v1/builders") as answer:
            assert answer.status == 404


async def test_caller_without_evidence_is_no_instance(sqlite_hub: RunningHub) -> None:
    await sqlite_hub.add_measurement(IMAGE)
    await sqlite_hub.add_builder("alpha", ip="127.0.0.1")
    server = ServerConfig(target_addr=f"http://127.0.0.1:{sqlite_hub.instance_port}")
    async with (
        attested_server(server, judge=NO_DEMANDS) as proxy,
        attested_client(proxy.port, judge=NO_DEMANDS) as (node, _),
        node.get(f"{API}/builders", headers=instance_headers(ip="127.0.0.1")) as answer,
    ):
        assert answer.status == 403
        assert await answer.read() == b""
