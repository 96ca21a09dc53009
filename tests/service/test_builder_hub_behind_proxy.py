# SPDX-License-Identifier: MIT
"""The hub behind our own attested proxy: what a node's evidence becomes at the other end."""

from pathlib import Path

from buildernet.attested_proxy.config import ServerConfig
from buildernet.net.proxy_secret import HEADER
from tests.support.attested_tls import (
    MRTD,
    NO_DEMANDS,
    RTMR1,
    SimulatedIssuer,
    attested_client,
    attested_server,
    demanding,
)
from tests.support.builder_hub import (
    API,
    RunningHub,
    instance_headers,
    make_config,
    running_hub,
)

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


async def test_only_who_shows_the_secret_speaks_for_instances(
    sqlite_database: str, tmp_path: Path
) -> None:
    secret = "5e" * 32
    path = tmp_path / "secret"
    path.write_text(f"{secret}\n")
    path.chmod(0o640)
    config = make_config(proxy_secret_file=path)
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        await hub.add_measurement(IMAGE)
        await hub.add_builder("alpha", ip="127.0.0.1")
        forged = instance_headers(ip="127.0.0.1", registers={"0": MRTD.hex(), "2": RTMR1.hex()})
        for shown in ((), (HEADER, "wrong"), (HEADER, f"{secret}x"), (HEADER, "\u00e9")):
            headers = [*forged.items(), shown] if shown else list(forged.items())
            for path_ in ("/builders", "/configuration", "/measurements", "/peers", "/none"):
                async with hub.instance.get(f"{API}{path_}", headers=headers) as answer:
                    assert (answer.status, await answer.read()) == (403, b"")
        twice = [*forged.items(), (HEADER, secret), (HEADER, secret)]
        async with hub.instance.get(f"{API}/builders", headers=twice) as answer:
            assert answer.status == 403
        for open_path in ("/livez", "/readyz", "/drain", "/undrain"):
            async with hub.instance.get(open_path) as answer:
                assert answer.status == 200
        target = f"http://127.0.0.1:{hub.instance_port}"
        for server, status in (
            (ServerConfig(target_addr=target, target_secret_file=path), 200),
            (ServerConfig(target_addr=target), 403),
        ):
            async with (
                attested_server(server, judge=demanding()) as proxy,
                attested_client(proxy.port, judge=NO_DEMANDS, issuer=SimulatedIssuer()) as (
                    node,
                    _,
                ),
                # What a node says in this header is not passed on.
                node.get(f"{API}/builders", headers={HEADER: secret}) as answer,
            ):
                assert answer.status == status
                assert secret not in str(answer.headers)
