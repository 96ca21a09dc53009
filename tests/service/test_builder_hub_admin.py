# SPDX-License-Identifier: MIT
"""The admin listener: who may use it, what it lists, deletes and remembers."""

import json
from typing import Any

import pytest
from aiohttp import ClientSession, encode_basic_auth
from sqlalchemy import select, update

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.app import build_apps
from buildernet.builder_hub.documents import rotate_secrets
from buildernet.builder_hub.schema import SECRETS
from buildernet.builder_hub.sealing import parse_keys
from tests.support.builder_hub import (
    ADMIN,
    KEYS,
    MEASUREMENT,
    PASSWORD,
    RunningHub,
    make_config,
    running_hub,
    with_admin,
)

BUILDERS = f"{ADMIN}/builders"


async def ask(hub: RunningHub, headers: dict[str, str], path: str = BUILDERS) -> int:
    """Return the status of a request of somebody without the password."""
    async with (
        ClientSession(f"http://127.0.0.1:{hub.admin_port}") as session,
        session.get(path, headers=headers) as answer,
    ):
        return answer.status


def credentials(user: str, password: str) -> dict[str, str]:
    return {"Authorization": encode_basic_auth(user, password)}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        credentials("admin", "wrong"),
        credentials("root", PASSWORD),
        credentials("admin", ""),
        credentials("admin", "x" * 73),
        {"Authorization": "Basic !"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic YWRtaW4="},
    ],
)
@pytest.mark.parametrize("path", [BUILDERS, f"{ADMIN}/nothing", "/"])
async def test_nobody_enters_without_the_password(
    sqlite_hub: RunningHub, headers: dict[str, str], path: str
) -> None:
    assert await ask(sqlite_hub, headers, path) == 401
    assert await ask(sqlite_hub, credentials("admin", PASSWORD)) == 200


async def test_refusal_asks_for_the_password(sqlite_hub: RunningHub) -> None:
    async with (
        ClientSession(f"http://127.0.0.1:{sqlite_hub.admin_port}") as session,
        session.get(BUILDERS) as answer,
    ):
        assert answer.headers["WWW-Authenticate"] == "Basic realm=admin"
        assert answer.content_type == "text/plain"


async def test_empty_hash_lets_nobody_in(sqlite_database: str) -> None:
    config = with_admin(make_config(), basic_password_bcrypt="")
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        assert await ask(hub, credentials("admin", "")) == 401
        assert await ask(hub, credentials("admin", "nobody")) == 401


async def test_password_that_is_no_hash_stops_the_start(sqlite_hub: RunningHub) -> None:
    object.__setattr__(
        sqlite_hub.hub, "config", with_admin(make_config(), basic_password_bcrypt="plain")
    )
    with pytest.raises(ConfigError, match="bcrypt") as error:
        build_apps(sqlite_hub.hub)
    assert "plain" not in str(error.value)


async def test_guesses_are_stopped_before_the_password_is_looked_at(
    sqlite_hub: RunningHub,
) -> None:
    statuses = [await ask(sqlite_hub, credentials("admin", str(n))) for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert await ask(sqlite_hub, credentials("admin", PASSWORD)) == 429


async def test_without_authentication_only_local_names_are_served(sqlite_database: str) -> None:
    config = with_admin(make_config(), dangerously_disable_auth=True)
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        assert await ask(hub, {}) == 200
        assert await ask(hub, {"Host": "attacker.example:8081"}) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
    ],
)
async def test_another_sites_page_changes_nothing(
    sqlite_hub: RunningHub, headers: dict[str, str]
) -> None:
    url = f"{ADMIN}/measurements"
    async with sqlite_hub.admin.post(url, json=MEASUREMENT, headers=headers) as answer:
        assert answer.status == 403
    assert await sqlite_hub.get("/measurements") == []


async def test_everything_an_admin_does_is_audited(hub: RunningHub) -> None:
    await hub.add_measurement()
    await hub.add_builder()
    await hub.post("/builders/secrets/alpha", {"coinbase_secret_key": "0xsecret"})
    await hub.get("/builders/configuration/alpha/full")
    await hub.post("/builders/activation/alpha", {"enabled": False})
    await hub.delete("/builders/alpha")
    await hub.delete("/measurements/image-1")
    audit = await hub.get("/audit")
    assert [(record["action"], record["subject"]) for record in reversed(audit)] == [
        ("measurement_added", "image-1"),
        ("measurement_enabled", "image-1"),
        ("builder_added", "alpha"),
        ("configuration_set", "alpha"),
        ("builder_enabled", "alpha"),
        ("secrets_set", "alpha"),
        ("secrets_read", "alpha"),
        ("builder_disabled", "alpha"),
        ("builder_deleted", "alpha"),
        ("measurement_deleted", "image-1"),
    ]
    assert {(record["actor"], record["address"]) for record in audit} == {("admin", "127.0.0.1")}
    assert "0xsecret" not in json.dumps(audit)
    page = await hub.get(f"/audit?limit=2&before={audit[2]['id']}")
    assert page == audit[3:5]
    assert len(await hub.get("/audit?subject=image-1")) == 3


async def test_failed_change_is_not_audited(hub: RunningHub) -> None:
    await hub.post("/builders/activation/none", {"enabled": True}, status=404)
    await hub.post("/builders", {"name": "a", "ip_address": "x", "network": "n"}, status=400)
    assert await hub.get("/audit") == []


async def test_deleted_names_stay_taken_and_history_stays(hub: RunningHub) -> None:
    await hub.add_measurement()
    await hub.add_builder()
    await hub.post("/builders/configuration/alpha", {"second": True})
    await hub.delete("/builders/alpha")
    await hub.delete("/measurements/image-1")
    await hub.post("/builders/activation/alpha", {"enabled": True}, status=404)
    builder = {"name": "alpha", "ip_address": "1.2.3.4", "network": "production"}
    await hub.post("/builders", builder, status=409)
    await hub.post("/measurements", MEASUREMENT, status=409)
    (kept,) = await hub.get("/builders")
    assert kept["deprecated_at_ms"] is not None
    assert kept["is_active"] is False
    (measurement,) = await hub.get("/measurements")
    assert measurement["deprecated_at_ms"] is not None
    history = await hub.get("/builders/configuration/alpha/history")
    assert [entry["document"] for entry in history] == [
        {"second": True},
        {"instance_name": "alpha"},
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "a", "ip_address": "1.1.1.1"}, "network field is required"),
        ({"name": "a", "ip_address": "1.1.1", "network": "n"}, "ip_address is not an IP address"),
        ({"name": "a", "ip_address": "fe80::1%1", "network": "n"}, "is not an IP address"),
        ({"name": "", "ip_address": "1.1.1.1", "network": "n"}, "name is not"),
        ({"name": "a/b", "ip_address": "1.1.1.1", "network": "n"}, "name is not"),
        ({"name": "a", "ip_address": "1.1.1.1", "network": "n", "dns_name": "-"}, "dns_name"),
    ],
)
async def test_malformed_builder_is_named(
    sqlite_hub: RunningHub, body: dict[str, Any], message: str
) -> None:
    assert message in (await sqlite_hub.post("/builders", body, status=400))["message"]


async def test_invalid_documents_are_refused(sqlite_hub: RunningHub) -> None:
    await sqlite_hub.add_builder()
    path = "/builders/configuration/alpha"
    assert (await sqlite_hub.post(path, b"{", status=400))["message"] == "invalid json"
    await sqlite_hub.post(path, b'{"a": NaN}', status=400)
    await sqlite_hub.post(path, b'"\\ud800"', status=400)
    for number in (b"1e999", b"-1E400", b'["1", {"a": 1e999}]'):
        await sqlite_hub.post(path, number, status=400)
    await sqlite_hub.post("/builders/secrets/alpha", b'{"a": 1e999}', status=400)
    await sqlite_hub.post("/builders/secrets/alpha", b"[]", status=400)
    await sqlite_hub.post("/builders/activation/alpha", {"enabled": 1}, status=400)
    active = f"{ADMIN}{path}/active"
    async with sqlite_hub.admin.get(active) as answer:
        assert await answer.json() == {"instance_name": "alpha"}


async def test_events_document_gives_measurements(sqlite_hub: RunningHub) -> None:
    registers = {
        "mrtd": {"sha384": ["11" * 48]},
        "rtmr1": {"sha384": ["21" * 48]},
        "rtmr2": {"sha384": ["22" * 48]},
    }
    document = {"schema": "buildernet-events/1", "uki_sha256": "ab" * 32, "registers": registers}
    await sqlite_hub.post("/measurements", document)
    (added,) = await sqlite_hub.get("/measurements")
    assert added["measurements"]["2"] == {"expected": "21" * 48}
    name = added["measurement_id"]
    await sqlite_hub.post(f"/measurements/activation/{name}", {"enabled": True})
    await sqlite_hub.add_builder()
    await sqlite_hub.ask("/builders")


async def test_secrets_are_sealed_for_one_builder(hub: RunningHub) -> None:
    await hub.add_measurement()
    await hub.add_builder("alpha")
    await hub.add_builder("beta", ip="5.6.7.8")
    await hub.post("/builders/secrets/alpha", {"key": "of-alpha"})
    await hub.post("/builders/secrets/beta", {"key": "of-beta"})
    async with hub.hub.transaction() as connection:
        rows = (await connection.execute(select(SECRETS))).mappings().all()
        assert all(b"of-" not in row["sealed"] for row in rows)
        assert {row["key_id"] for row in rows} == {"second"}
        await connection.execute(
            update(SECRETS)
            .where(SECRETS.c.builder_name == "alpha")
            .values(sealed=rows[1]["sealed"])
        )
    async with hub.admin.get(f"{BUILDERS}/configuration/alpha/full") as answer:
        assert answer.status == 500
        assert "of-beta" not in await answer.text()


async def test_keys_are_rotated(hub_database: str) -> None:
    old = parse_keys(KEYS.splitlines()[1])
    async with running_hub(hub_database, sealer=old, migrated=True) as hub:
        await hub.add_builder()
        await hub.post("/builders/secrets/alpha", {"a": 1})
        new = parse_keys(KEYS)
        async with hub.hub.transaction() as connection:
            assert await rotate_secrets(connection, sealer=new) == 1
            assert await rotate_secrets(connection, sealer=new) == 0
    only_new = parse_keys(KEYS.splitlines()[0])
    async with running_hub(hub_database, sealer=only_new, migrated=True) as hub:
        assert await hub.get("/builders/configuration/alpha/full") == {"a": 1}
