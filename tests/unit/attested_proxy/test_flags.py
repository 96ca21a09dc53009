# SPDX-License-Identifier: MIT
"""Command lines and environments of the tools before give the settings they meant."""

import argparse

import pytest

from buildernet.attested_proxy.config import AzureSource, ClientConfig, PeerPolicy, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.attested_proxy.flags import CLIENT, GET, SERVER
from buildernet.base import config
from buildernet.base.errors import ConfigError, UsageError
from buildernet.base.flags import Flag, add_flags, overrides


def found(flags: tuple[Flag, ...], line: str, **environment: str) -> dict[str, str]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, flags)
    return overrides(parser.parse_args(line.split()), flags, environment)


def server(line: str, **environment: str) -> ServerConfig:
    return config.load(ServerConfig, overrides=found(SERVER, line, **environment))


def client(line: str, **environment: str) -> ClientConfig:
    return config.load(ClientConfig, overrides=found(CLIENT, line, **environment))


def test_production_line_of_cvm_reverse_proxy() -> None:
    settings = server(
        "--listen-addr=0.0.0.0:7936 --target-addr=http://localhost:14727"
        " --server-attestation-type dcap-tdx --client-attestation-type azure-tdx --log-debug=false"
    )
    assert settings.listen_addr == "0.0.0.0:7936"
    assert settings.target_addr == "http://localhost:14727"
    assert settings.server_attestation_type == "dcap-tdx"
    assert not settings.logging.log_debug


def test_production_line_of_attested_tls_proxy() -> None:
    settings = client(
        "--listen-addr 127.0.0.1:7937 --client-attestation-type dcap-tdx"
        " --allowed-remote-attestation-type none --target-addr hub.example"
    )
    assert settings.peers.demands_nothing
    assert settings.client_attestation_type == "dcap-tdx"


def test_environment_of_either_tool_is_read_and_flags_win() -> None:
    variables = {"LISTEN_ADDR": "0.0.0.0:1", "TARGET_ADDR": "x:1", "LOG_JSON": "true"}
    assert server("", **variables).listen_addr == "0.0.0.0:1"
    assert server("", **variables).logging.log_json
    assert server("--listen-addr 0.0.0.0:2", **variables).listen_addr == "0.0.0.0:2"
    for name in ("CLIENT_MEASUREMENTS", "MEASUREMENTS_FILE"):
        assert server("", **variables, **{name: "/m.json"}).peers.measurements == "/m.json"


def test_two_variables_for_one_setting_must_agree() -> None:
    with pytest.raises(UsageError, match="differ"):
        found(SERVER, "", CLIENT_MEASUREMENTS="a", MEASUREMENTS_FILE="b")


@pytest.mark.parametrize(
    "line", ["--override-azurev6-tcbinfo", "--override-azure-outdated-tcb=true"]
)
def test_either_name_of_the_override(line: str) -> None:
    assert found(GET, line) == {"override_azure_outdated_tcb": "true"}


@pytest.mark.parametrize("flags", [SERVER, CLIENT])
def test_every_flag_names_a_setting(flags: tuple[Flag, ...]) -> None:
    kind = ServerConfig if flags is SERVER else ClientConfig
    known = set()

    def walk(kind: type, start: str = "") -> None:
        import dataclasses
        import typing

        for name, hint in typing.get_type_hints(kind).items():
            if dataclasses.is_dataclass(hint):
                walk(typing.cast(type, hint), f"{name}.")
            else:
                known.add(start + name)

    walk(kind)
    assert {flag.key for flag in flags if flag.key} <= known


def test_policy_must_be_decided() -> None:
    with pytest.raises(ConfigError, match="nothing says"):
        PeerPolicy().require_decision()
    for decided in (
        PeerPolicy(measurements="x"),
        PeerPolicy(allowed_remote_attestation_type="none"),
        PeerPolicy(dangerously_accept_any_measurement=True),
    ):
        decided.require_decision()


def test_a_type_alone_is_no_decision() -> None:
    """The hardware says nothing of the software; the reference takes any image then."""
    with pytest.raises(ConfigError, match="nothing says"):
        PeerPolicy(allowed_remote_attestation_type="tdx").require_decision()


@pytest.mark.parametrize(
    ("allowed", "accepted"),
    [
        (None, set(AttestationType) - {AttestationType.NONE}),
        ("tdx", set(AttestationType) - {AttestationType.NONE}),
        ("azure-tdx", {AttestationType.AZURE_TDX}),
    ],
)
def test_accepted_types(allowed: str | None, accepted: set[AttestationType]) -> None:
    assert PeerPolicy(allowed_remote_attestation_type=allowed).accepted == accepted


@pytest.mark.parametrize(
    "values",
    [
        {"measurements": "x", "allowed_remote_attestation_type": "none"},
        {"allowed_remote_attestation_type": "sgx"},
    ],
)
def test_contradictions_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        PeerPolicy(**values)  # type: ignore[arg-type]  # the names are the point here


@pytest.mark.parametrize(
    "line",
    [
        "--target-addr x --tls-certificate-path a",
        "--target-addr x --server-attestation-type tdx1",
        "--target-addr x --tls-certificate-path a --tls-private-key-path b --certificate-dir c",
        "",
    ],
)
def test_servers_that_make_no_sense(line: str) -> None:
    with pytest.raises(ConfigError):
        server(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--target-addr x --protocol c",
        "--target-addr x --tls-ca-certificate y --server-certificate-sha256 ab",
        "--target-addr x --verify-tls --server-measurements y",
    ],
)
def test_clients_that_make_no_sense(line: str) -> None:
    with pytest.raises(ConfigError):
        client(line)


@pytest.mark.parametrize(
    "url", ["", "pccs.example", "ftp://pccs.example", "http://192.0.2.1:8081", "https://a:b@pccs"]
)
def test_pccs_that_cannot_be_asked_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="pccs_url"):
        PeerPolicy(pccs_url=url)
    PeerPolicy(pccs_url="http://127.0.0.1:8081/pccs")


def test_quote_service_of_azure_is_an_http_url() -> None:
    with pytest.raises(ConfigError, match=r"azure\.quote_url"):
        AzureSource(quote_url="https://169.254.169.254/")
