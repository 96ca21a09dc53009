# SPDX-License-Identifier: MIT
"""Requests through an attested client and an attested server, in both protocols."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from multidict import CIMultiDict

from buildernet.attested_proxy.config import ClientConfig, Limits, ServerConfig
from buildernet.base.errors import ConfigError
from tests.support.attested_tls import (
    MRTD,
    NO_DEMANDS,
    RTMR1,
    SimulatedIssuer,
    SimulatedValidator,
    attested_client,
    attested_server,
    backend,
    demanding,
    node_certificate,
)

PROTOCOLS = ["a", "b", "b+h2"]
TYPE_NAME = {"a": "qemu-tdx", "b": "dcap-tdx", "b+h2": "dcap-tdx"}
REGISTERS = {"0": MRTD.hex(), "2": RTMR1.hex()}


def speaking(protocol: str) -> ClientConfig:
    return ClientConfig("", protocol=protocol)


@pytest.mark.parametrize("protocol", [*PROTOCOLS, "auto"])
async def test_attested_server_answers_through_client(protocol: str) -> None:
    issuer = SimulatedIssuer()
    async with (
        backend() as behind,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=issuer) as run,
        attested_client(run.port, judge=demanding(), config=speaking(protocol)) as (session, _),
        session.post("/a%2Fb?c=%20d", data=b"order", headers={"X-Custom": "1"}) as answer,
    ):
        assert answer.status == 200
        assert await answer.read() == b"order"
        assert json.loads(answer.headers["X-Flashbots-Measurement"]) == REGISTERS
        expected = TYPE_NAME.get(protocol, "dcap-tdx")
        assert answer.headers["X-Flashbots-Attestation-Type"] == expected
        [(method, path, headers, body)] = behind.requests
        assert (method, path, body) == ("POST", "/a%2Fb?c=%20d", b"order")
        assert CIMultiDict(headers)["X-Custom"] == "1"  # HTTP/2 has small letters only
        assert headers["Host"] == f"localhost:{behind.port}"
        assert headers["X-Forwarded-For"] == "127.0.0.1, 127.0.0.1"


async def test_a_client_is_known_by_the_address_it_chooses() -> None:
    config = ClientConfig("", protocol="b", source_address="127.0.0.7")
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=SimulatedIssuer()
        ) as run,
        attested_client(run.port, judge=demanding(), config=config) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 200
        [(_, _, headers, _)] = behind.requests
        assert headers["X-Forwarded-For"].rpartition(", ")[2] == "127.0.0.7"


def test_a_source_address_is_an_address() -> None:
    with pytest.raises(ConfigError, match="source_address is no IP address"):
        ClientConfig("", source_address="here")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("with_identity", [False, True])
async def test_both_ends_attested(protocol: str, with_identity: bool) -> None:
    identity = node_certificate().identity if with_identity else None
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"),
            issuer=SimulatedIssuer(),
            judge=demanding(),
        ) as run,
        attested_client(
            run.port,
            judge=demanding(),
            issuer=SimulatedIssuer(),
            identity=identity,
            config=speaking(protocol),
        ) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 200
        [(_, _, headers, _)] = behind.requests
        assert json.loads(headers["X-Flashbots-Measurement"]) == REGISTERS
        assert headers["X-Flashbots-Attestation-Type"] == TYPE_NAME[protocol]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_unattested_client_is_refused(protocol: str) -> None:
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"),
            issuer=SimulatedIssuer(),
            judge=demanding(),
        ) as run,
        attested_client(run.port, judge=demanding(), config=speaking(protocol)) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 502
        assert behind.requests == []
        assert run.metric("attested_proxy_peers_refused_total", reason="unattested") >= 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_server_of_another_image_is_refused(protocol: str) -> None:
    issuer = SimulatedIssuer(mrtd=b"\x11" * 48)
    async with (
        backend() as behind,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=issuer) as run,
        attested_client(run.port, judge=demanding(), config=speaking(protocol)) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 502
        assert "mrtd differs" in await answer.text()
        assert behind.requests == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_server_without_evidence_is_refused(protocol: str) -> None:
    async with (
        attested_server(ServerConfig(serve_certificate=True)) as run,
        attested_client(run.port, judge=demanding(), config=speaking(protocol)) as (session, _),
        session.get("/cert") as answer,
    ):
        assert answer.status == 502
        assert "offers none" in await answer.text()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_client_that_demands_nothing_says_nothing(protocol: str) -> None:
    issuer = SimulatedIssuer()
    async with (
        backend() as behind,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=issuer) as run,
        attested_client(run.port, judge=NO_DEMANDS, config=speaking(protocol)) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 200
        assert "X-Flashbots-Measurement" not in answer.headers


async def test_every_connection_is_attested_anew() -> None:
    issuer, validator = SimulatedIssuer(), SimulatedValidator()
    async with (
        backend() as behind,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=issuer) as run,
        attested_client(run.port, judge=demanding(validator), config=speaking("a")) as (session, _),
    ):
        answers = await asyncio.gather(*(session.get("/") for _ in range(4)))
        assert [answer.status for answer in answers] == [200] * 4
        connections = len(validator.seen)
        assert len(issuer.issued) == len(set(issuer.issued)) == connections >= 1
        async with session.get("/") as again:
            assert again.status == 200
        assert len(validator.seen) == connections  # the pooled connection was judged already


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_forged_headers_do_not_pass(protocol: str) -> None:
    forged = {
        "X-Flashbots-Measurement": '{"0":"00"}',
        "x-flashbots-attestation-type": "azure-tdx",
        "X_Flashbots_Measurement": "{}",
    }
    async with (
        backend(headers=forged) as behind,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}")) as run,
        attested_client(run.port, judge=NO_DEMANDS, config=speaking(protocol)) as (session, _),
        session.get("/", headers={**forged, "X-Forwarded-For": "9.9.9.9"}) as answer,
    ):
        assert answer.status == 200
        [(_, _, headers, _)] = behind.requests
        # In B the type is always said, here that there is none.
        said = [] if protocol == "a" else [("x-flashbots-attestation-type", "none")]
        for side in (headers, answer.headers):
            named = [(n.lower(), v) for n, v in side.items() if "flashbots" in n.lower()]
            assert named == said
        assert headers["X-Forwarded-For"] == "9.9.9.9, 127.0.0.1, 127.0.0.1"
        assert headers["X-Real-IP"] == "127.0.0.1"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_large_bodies_pass_whole(protocol: str) -> None:
    body = os.urandom(5 << 20)
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=SimulatedIssuer()
        ) as run,
        attested_client(run.port, judge=demanding(), config=speaking(protocol)) as (session, _),
        session.post("/", data=io.BytesIO(body)) as answer,
    ):
        assert await answer.read() == body


async def test_too_large_body_is_refused() -> None:
    limits = Limits(max_body_bytes=1000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    async with (
        backend() as behind,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}", limits=limits)) as run,
        attested_client(run.port, judge=NO_DEMANDS, config=speaking("a")) as (session, _),
    ):
        for body in (b"x" * 1001, pieces()):
            async with session.post("/", data=body) as answer:
                assert answer.status in (413, 502)
        assert [request for request in behind.requests if len(request[3]) > 1000] == []


async def test_target_that_is_down_is_a_bad_gateway() -> None:
    async with backend() as behind:
        gone = behind.port
    async with (
        attested_server(ServerConfig(target_addr=f"localhost:{gone}")) as run,
        attested_client(run.port, judge=NO_DEMANDS, config=speaking("a")) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 502
        assert (await answer.json())["code"] == 502


async def test_client_backs_off_between_failures() -> None:
    async with backend() as behind:
        gone = behind.port
    async with attested_client(gone, judge=NO_DEMANDS, config=speaking("a")) as (session, _):
        async with session.get("/") as first:
            assert first.status == 502
        async with session.get("/") as second:
            assert second.status == 503
            assert "next attempt in" in await second.text()


async def test_rotated_certificate_reaches_new_connections_only() -> None:
    certificate = node_certificate()
    renewed = node_certificate().identity
    certificate = type(certificate)(certificate.identity, renew=lambda: renewed)
    first_pem = certificate.identity.pem
    config = replace(speaking("b"), max_server_connections=1)
    async with (
        attested_server(
            ServerConfig(serve_certificate=True), issuer=SimulatedIssuer(), certificate=certificate
        ) as run,
        attested_client(run.port, judge=demanding(), config=config) as (session, _),
        attested_client(run.port, judge=demanding(), config=config) as (later, _),
    ):
        async with session.get("/cert") as answer:
            assert await answer.read() == first_pem
        certificate.renew_now()
        for one in (session, later):
            async with one.get("/cert") as answer:
                assert await answer.read() == renewed.pem
        assert run.metric("attested_proxy_peers_accepted_total", attestation_type="none") == 2
