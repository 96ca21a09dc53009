# SPDX-License-Identifier: MIT
"""What builder-hub does differently from the reference, each by one test (docs/services)."""

from typing import Any

import pytest

from buildernet.builder_hub.errors import UnavailableError
from tests.support.builder_hub import (
    API,
    IP,
    MEASUREMENT,
    REGISTERS,
    RunningHub,
    instance_headers,
    make_config,
    running_hub,
)
from tests.support.hub_nodes import SimulatedNode

INTERNAL = ("/api/internal/l1-builder/v1/builders",
            "/api/internal/l1-builder/v2/network/production/builders")  # fmt: skip


@pytest.fixture
async def ready(sqlite_hub: RunningHub) -> RunningHub:
    await sqlite_hub.add_measurement()
    await sqlite_hub.add_builder()
    return sqlite_hub


@pytest.mark.parametrize("path", INTERNAL)
async def test_internal_lists_are_not_on_the_instance_listener(
    ready: RunningHub, path: str
) -> None:
    async with ready.internal.get(path) as answer:
        assert answer.status == 200
    for session in (ready.instance, ready.admin):
        async with session.get(path, headers=instance_headers()) as answer:
            assert answer.status == 404


async def test_headers_from_anywhere_but_the_proxy_are_not_believed(sqlite_database: str) -> None:
    config = make_config(trusted_proxies=("10.0.0.7",))
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        for path in ("/builders", "/configuration", "/peers"):
            assert await hub.ask(path, status=403) is None
        await hub.send("/register_credentials/instance", {"tls_cert": "x"}, status=403)
        await hub.send("/tee_attestation", SimulatedNode().attestation_request(), status=403)
        refused = hub.metrics.get("/metrics")
        async with refused as answer:
            assert "builder_hub_instances_refused_total 5.0" in await answer.text()


@pytest.mark.parametrize("header", ["X-Flashbots-Attestation-Type", "X-Flashbots-Measurement"])
async def test_header_given_twice_is_refused(ready: RunningHub, header: str) -> None:
    once = instance_headers()
    twice = [*once.items(), (header, once[header])]
    async with ready.instance.get(f"{API}/builders", headers=twice) as answer:
        assert answer.status == 403


async def test_instance_cannot_drain_the_hub(ready: RunningHub) -> None:
    for path in ("/drain", "/undrain"):
        async with ready.instance.get(path, headers=instance_headers()) as answer:
            assert answer.status == 403
        async with ready.instance.get(path, headers={"X-Forwarded-For": "1.1.1.1"}) as answer:
            assert answer.status == 403
    async with ready.instance.get("/readyz") as answer:
        assert answer.status == 200


async def test_drain_turns_readiness_off_and_on_and_is_audited(ready: RunningHub) -> None:
    for path, status in (("/drain", 503), ("/undrain", 200)):
        for _ in range(2):
            async with ready.instance.get(path) as answer:
                assert answer.status == 200
        async with ready.instance.get("/readyz") as answer:
            assert answer.status == status
    audit = await ready.get("/audit?subject=hub")
    assert [entry["action"] for entry in audit] == ["undrained", "drained"]
    assert {(entry["actor"], entry["address"]) for entry in audit} == {("operator", "127.0.0.1")}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin"])
async def test_page_in_a_browser_cannot_drain_the_hub(ready: RunningHub, site: str) -> None:
    for path in ("/drain", "/undrain"):
        async with ready.instance.get(path, headers={"Sec-Fetch-Site": site}) as answer:
            assert answer.status == 403
    async with ready.instance.get("/readyz") as answer:
        assert answer.status == 200
    async with ready.instance.get("/drain", headers={"Sec-Fetch-Site": "none"}) as answer:
        assert answer.status == 200  # typed into a browser


async def test_drain_does_not_need_the_database(ready: RunningHub) -> None:
    def refuse() -> None:
        raise UnavailableError("the database does not answer")

    ready.hub.database.transaction = refuse  # type: ignore[method-assign,assignment]
    async with ready.instance.get("/drain") as answer:
        assert answer.status == 200
    assert ready.hub.drain.is_drained


@pytest.mark.parametrize(
    "measurement",
    [
        {"measurement_id": "any", "attestation_type": "dcap-tdx", "measurements": {}},
        {"measurement_id": "any", "attestation_type": "test", "measurements": {}},
        {"measurement_id": "any", "attestation_type": "test", "measurements": {"0": "a"}},
        {**MEASUREMENT, "measurement_id": ""},
        {**MEASUREMENT, "unknown": 1},
        {**MEASUREMENT, "measurements": {"5": {"expected": "00" * 48}}},
        {**MEASUREMENT, "measurements": {"0": {"expected": "00" * 32}}},
        [],
        "text",
    ],
)
async def test_measurement_that_any_machine_fits_is_refused(
    sqlite_hub: RunningHub, measurement: Any
) -> None:
    await sqlite_hub.post("/measurements", measurement, status=400)
    assert await sqlite_hub.get("/measurements") == []


async def test_registers_are_compared_as_bytes_and_types_by_platform(ready: RunningHub) -> None:
    upper = {number: value.upper() for number, value in REGISTERS.items()}
    for kind in ("dcap-tdx", "qemu-tdx", "gcp-tdx"):
        await ready.ask("/builders", headers=instance_headers(kind=kind, registers=upper))


async def test_one_address_has_one_active_builder(ready: RunningHub) -> None:
    twin = {"name": "twin", "ip_address": "::ffff:1.2.3.4", "network": "production"}
    await ready.post("/builders", twin)
    await ready.post("/builders/configuration/twin", {})
    answer = await ready.post("/builders/activation/twin", {"enabled": True}, status=409)
    assert "alpha" in answer["message"]
    await ready.post("/builders/activation/alpha", {"enabled": False})
    await ready.post("/builders/activation/twin", {"enabled": True})
    moved = {"ip_address": "1.2.3.4", "network": "production"}
    async with ready.admin.put("/api/admin/v1/builders/alpha", json=moved) as answer:
        assert answer.status == 200  # it is not active


@pytest.mark.parametrize("service", ["foobar", "Instance", "ip", "name", "dns_name", "a b", "."])
async def test_service_is_a_known_name(ready: RunningHub, service: str) -> None:
    body = {"tls_cert": SimulatedNode().pem}
    headers = instance_headers()
    url = f"{API}/register_credentials/{service}"
    async with ready.instance.post(url, json=body, headers=headers) as answer:
        assert answer.status in (400, 404)


@pytest.mark.parametrize("text", ["1234567890", "-----BEGIN CERTIFICATE-----\nAAAA\n", "\u0000"])
async def test_certificate_is_parsed(ready: RunningHub, text: str) -> None:
    answer = await ready.send("/register_credentials/instance", {"tls_cert": text}, status=400)
    assert answer["message"] == "tls_cert is not a certificate in PEM"


async def test_builders_are_listed_by_name(ready: RunningHub) -> None:
    names = ["zeta", "Beta", "gamma", "alpha2", "a-1"]
    for number, name in enumerate(names):
        await ready.add_builder(name, ip=f"10.0.0.{number}")
    listed = [entry["name"] for entry in await ready.ask("/builders")]
    assert listed == sorted([*names, "alpha"])


async def test_duplicates_and_unknown_names_have_statuses_of_their_own(ready: RunningHub) -> None:
    await ready.post("/measurements", MEASUREMENT, status=409)
    builder = {"name": "alpha", "ip_address": "7.7.7.7", "network": "production"}
    await ready.post("/builders", builder, status=409)
    for path in (
        "/measurements/activation/none",
        "/builders/activation/none",
        "/builders/configuration/none",
        "/builders/secrets/none",
        "/builders/secrets/no%00ne",
    ):
        await ready.post(path, {"enabled": True}, status=404)
    for path in ("/builders/none", "/measurements/none", "/registrations/7"):
        await ready.delete(path, status=404)
    await ready.get("/builders/configuration/none/active", status=404)
    builder["name"] = "bare"
    await ready.post("/builders", builder)
    await ready.get("/builders/configuration/bare/full", status=404)


async def test_what_is_as_the_reference_does_it(ready: RunningHub) -> None:
    assert await ready.get("/builders/configuration/alpha/full") == {}  # no secrets yet
    await ready.post("/builders/activation/alpha", {})  # the zero value: false
    assert not (await ready.get("/builders/alpha"))["is_active"]
    await ready.post("/builders/activation/alpha", {"enabled": "no"}, status=400)


async def test_region_is_free_text(ready: RunningHub) -> None:
    node = SimulatedNode()
    challenge = await ready.ask("/register_credentials/instance/challenge")
    body = {**node.prove_certificate(challenge["challenge"]), "region": "US East (Ohio)"}
    await ready.send("/register_credentials/instance", body)
    (entry,) = await ready.ask("/builders")
    assert entry["instance"]["region"] == "US East (Ohio)"
    for region in ("a\nb", "x" * 65, 1):
        await ready.send("/register_credentials/instance", {**body, "region": region}, status=400)


async def test_reference_leniency_is_there_for_who_asks(sqlite_database: str) -> None:
    config = make_config(
        dangerously_lenient_as_reference=True, dangerously_accept_unproved_registrations=True
    )
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        for path in INTERNAL:
            async with hub.instance.get(path) as answer:
                assert answer.status == 200
        await hub.send("/register_credentials/instance", {"tls_cert": "abcdef1234567890"})
        (entry,) = await hub.ask("/builders")
        assert entry["instance"] == {"tls_cert": "abcdef1234567890"}
        assert not (await hub.get("/registrations"))[0]["is_proved"]
        for text in ("\0", "a\0b", "x" * 65537, "\u00e9", ["a"]):
            body = {"tls_cert": text}
            await hub.send("/register_credentials/instance", body, status=400)


async def test_walk_through_of_the_reference_with_every_opt_out(sqlite_database: str) -> None:
    config = make_config(
        dangerously_lenient_as_reference=True,
        dangerously_accept_unproved_registrations=True,
        dangerously_accept_unattested_measurements=True,
    )
    headers = instance_headers(kind="test", registers={})
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        image = {"measurement_id": "test1", "attestation_type": "test", "measurements": {}}
        await hub.post("/measurements", image)
        await hub.post("/measurements/activation/test1", {"enabled": True})
        builder = {"name": "test_builder", "ip_address": IP, "network": "production"}
        await hub.post("/builders", builder)
        await hub.post("/builders/activation/test_builder", {"enabled": True}, status=400)
        await hub.post("/builders/configuration/test_builder", {"rbuilder": {}})
        await hub.post("/builders/activation/test_builder", {"enabled": True})
        assert await hub.get("/builders/configuration/test_builder/active") == {"rbuilder": {}}
        assert await hub.get("/builders/configuration/test_builder/full") == {}
        assert await hub.ask("/configuration", headers=headers) == {}
        registered = {"tls_cert": "abcdef1234567890", "ecdsa_pubkey_address": f"0x{'ab' * 20}"}
        for service in ("rbuilder", "orderflow_proxy"):
            path = f"/register_credentials/{service}"
            await hub.send(path, {**registered, "region": "US East (Ohio)"}, headers=headers)
        await hub.send("/register_credentials/rbuilder", {}, headers=headers, status=400)
        listed = await hub.ask("/builders", headers=headers)
        assert listed[0]["rbuilder"] == {**registered, "region": "US East (Ohio)"}
        for path in INTERNAL:
            async with hub.instance.get(path) as answer:
                assert await answer.json() == listed


async def test_leniency_about_certificates_is_none_about_proofs(sqlite_database: str) -> None:
    config = make_config(dangerously_lenient_as_reference=True)
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        await hub.send("/register_credentials/instance", {"tls_cert": "abcdef"}, status=422)


async def test_every_read_of_a_document_is_audited(ready: RunningHub) -> None:
    for what in ("active", "history", "full"):
        await ready.get(f"/builders/configuration/alpha/{what}")
    actions = [entry["action"] for entry in await ready.get("/audit?subject=alpha")]
    assert actions[:3] == ["secrets_read", "configurations_read", "configuration_read"]


async def test_what_the_reference_takes_and_this_does_not(ready: RunningHub) -> None:
    await ready.post("/builders/secrets/alpha", [1], status=400)  # an object there as well
    builder = {"name": "Builder one", "ip_address": "7.7.7.7", "network": "production"}
    await ready.post("/builders", builder, status=400)
    answer = await ready.send("/register_credentials/instance", b"{", status=400)
    assert sorted(answer) == ["code", "message"]
    async with ready.admin.get("/", headers={"Authorization": ""}) as refused:
        assert refused.status == 401
