# SPDX-License-Identifier: MIT
"""A server without evidence, as the hub's, is known by its certificate or not talked to."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives.hashes import SHA256

from buildernet.attested_proxy.certificate import Identity, NodeCertificate
from buildernet.attested_proxy.config import ClientConfig, ServerConfig
from buildernet.base.errors import ConfigError
from tests.support.attested_tls import (
    NO_DEMANDS,
    Backend,
    Running,
    SimulatedIssuer,
    attested_client,
    attested_server,
    backend,
    demanding,
)
from tests.support.hub_identity import make_identity

HUB = "127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """Who vouches for a hub, and the file that says so."""

    identity: Identity
    file: Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    identity = make_identity(authority=True)
    file = tmp_path_factory.mktemp("authority") / "authority.pem"
    file.write_bytes(identity.pem)
    return Authority(identity, file)


def pin(identity: Identity) -> str:
    return identity.leaf.fingerprint(SHA256()).hex()


def hub_proxy(behind: Backend, shown: Identity) -> AbstractAsyncContextManager[Running]:
    config = ServerConfig(target_addr=f"localhost:{behind.port}")
    return attested_server(config, certificate=NodeCertificate(shown))


def node(
    run: Running, host: str = HUB, **settings: Any
) -> AbstractAsyncContextManager[tuple[ClientSession, Running]]:
    config = ClientConfig("", **settings)
    return attested_client(
        run.port,
        judge=NO_DEMANDS,
        issuer=SimulatedIssuer(),
        config=config,
        host=host,
        trusting=False,
    )


async def require_taken(shown: Identity, host: str = HUB, **settings: Any) -> None:
    async with (
        backend() as behind,
        hub_proxy(behind, shown) as run,
        node(run, host, **settings) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 200
        assert len(behind.requests) == 1


async def require_refused(said: str, shown: Identity, host: str = HUB, **settings: Any) -> None:
    """Neither a request nor evidence may reach a server that is not the one meant."""
    async with (
        backend() as behind,
        hub_proxy(behind, shown) as run,
        node(run, host, **settings) as (session, client),
        session.get("/") as answer,
    ):
        assert answer.status == 502
        assert said in await answer.text()
        refused = "attested_proxy_peers_refused_total"
        assert client.metric(refused, reason="server_certificate") == 1
        assert behind.requests == []


async def test_server_that_an_authority_names_is_taken(authority: Authority) -> None:
    shown = make_identity("localhost", HUB, issuer=authority.identity)
    await require_taken(shown, tls_ca_certificate=authority.file)
    await require_taken(shown, "localhost", tls_ca_certificate=authority.file, protocol="b+h2")


async def test_by_default_the_systems_authorities_count(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make_identity(HUB, issuer=authority.identity)
    await require_refused("comes from an authority that is none here", shown)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    await require_taken(shown)


async def test_named_authorities_replace_the_systems(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    shown = make_identity(HUB, issuer=authority.identity)
    other = tmp_path / "other.pem"
    other.write_bytes(make_identity(authority=True).pem)
    await require_refused("is not signed by", shown, tls_ca_certificate=other)


async def test_server_of_the_proxys_own_making_is_refused() -> None:
    await require_refused("is self-signed, and no authority here", make_identity(HUB))


async def test_self_signed_certificate_is_its_own_authority(tmp_path: Path) -> None:
    shown, file = make_identity(HUB), tmp_path / "hub.pem"
    file.write_bytes(shown.pem)
    await require_taken(shown, tls_ca_certificate=file)


@pytest.mark.parametrize(
    ("names", "host", "said"),
    [
        (["hub.example"], HUB, "is for other kinds of names, not for 127.0.0.1"),
        (["127.0.0.9"], HUB, "is for 127.0.0.9, not for 127.0.0.1"),
        (["other.example"], "localhost", "is for other.example, not for localhost"),
        ([], HUB, "is for no host"),
    ],
)
async def test_certificate_for_another_host_is_refused(
    authority: Authority, names: list[str], host: str, said: str
) -> None:
    shown = make_identity(*names, issuer=authority.identity)
    await require_refused(said, shown, host, tls_ca_certificate=authority.file)


async def test_expired_certificate_is_refused(authority: Authority) -> None:
    shown = make_identity(HUB, issuer=authority.identity, days=-1)
    await require_refused("has expired", shown, tls_ca_certificate=authority.file)


async def test_node_of_the_network_cannot_vouch_for_the_hub(authority: Authority) -> None:
    """Whoever has a certificate of the authority could otherwise make others."""
    member = make_identity(HUB, issuer=authority.identity)
    forged = make_identity(HUB, issuer=member)
    shown = Identity(forged.key, (forged.leaf, member.leaf))
    await require_refused("server's certificate", shown, tls_ca_certificate=authority.file)


async def test_pinned_certificate_is_taken_whatever_else_it_says() -> None:
    shown = make_identity("elsewhere.example", days=-1)
    await require_taken(shown, server_certificate_sha256=pin(shown))


async def test_pins_may_be_several_and_as_openssl_prints_them() -> None:
    shown, next_one = make_identity(HUB), make_identity(HUB)
    digits = pin(shown).upper()
    printed = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    both = f"{pin(next_one)}, {printed}"
    await require_taken(shown, server_certificate_sha256=both)
    await require_taken(next_one, server_certificate_sha256=both)


async def test_other_certificate_than_the_pinned_one_is_refused(authority: Authority) -> None:
    shown = make_identity(HUB, issuer=authority.identity)
    pinned = pin(make_identity(HUB, issuer=authority.identity))
    await require_refused("which is not pinned", shown, server_certificate_sha256=pinned)


async def test_pinned_issuer_is_not_the_server(authority: Authority) -> None:
    leaf = make_identity(HUB, issuer=authority.identity)
    shown = Identity(leaf.key, (leaf.leaf, authority.identity.leaf))
    await require_refused("not pinned", shown, server_certificate_sha256=pin(authority.identity))


async def test_evidence_and_certificate_can_both_be_demanded() -> None:
    shown = make_identity(HUB)
    for wanted, status in ((shown, 200), (make_identity(HUB), 502)):
        config = ClientConfig("", server_certificate_sha256=pin(wanted))
        async with (
            backend() as behind,
            attested_server(
                ServerConfig(target_addr=f"localhost:{behind.port}"),
                issuer=SimulatedIssuer(),
                certificate=NodeCertificate(shown),
            ) as run,
            attested_client(run.port, judge=demanding(), config=config) as (session, _),
            session.get("/") as answer,
        ):
            assert answer.status == status


async def test_no_evidence_is_made_for_a_server_that_is_refused() -> None:
    issuer = SimulatedIssuer()
    async with (
        backend() as behind,
        hub_proxy(behind, make_identity(HUB)) as run,
        attested_client(run.port, judge=NO_DEMANDS, issuer=issuer, trusting=False) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 502
        assert issuer.issued == []


async def test_protocol_a_cannot_show_who_a_server_is() -> None:
    with pytest.raises(ConfigError, match="cannot show in protocol A"):
        async with attested_client(
            1, judge=NO_DEMANDS, config=ClientConfig("", protocol="a"), trusting=False
        ):
            pass


async def test_unusable_authorities_are_an_error_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    file.write_text("no certificate")
    for path in (file, tmp_path / "missing.pem"):
        for config in (
            ClientConfig("", tls_ca_certificate=path),
            ClientConfig("", tls_ca_certificate=path, verify_tls=True),
        ):
            with pytest.raises(ConfigError, match=f"cannot .*{path}"):
                async with attested_client(1, judge=NO_DEMANDS, config=config, trusting=False):
                    pass
