# SPDX-License-Identifier: MIT
"""Settings, and the names that the programs before ours gave them."""

import argparse
from pathlib import Path

import pytest

from buildernet.base import config
from buildernet.base.errors import ConfigError, UsageError
from buildernet.base.flags import add_flags, overrides
from buildernet.orderflow_proxy import cli
from buildernet.orderflow_proxy.config import ENVIRONMENT_PREFIX, Evidence, ReceiverConfig
from buildernet.orderflow_proxy.flags import RECEIVER
from buildernet.orderflow_proxy.sender_config import SENDER

PAGE = Path(__file__).parents[3] / "docs/services/orderflow-proxy.md"

# Names and values as units of the Go proxy and FlowProxy have them: services.md 1.5, 1.11, 1.13.
OLD_FLAGS = {
    "--local-listen-addr=127.0.0.1:1": ("listen", "user_addr", "127.0.0.1:1"),
    "--public-listen-addr=127.0.0.1:2": ("listen", "system_addr", "127.0.0.1:2"),
    "--builder-endpoint=http://[::1]:1": ("builder", "endpoint", "http://[::1]:1"),
    "--rpc-endpoint=http://[::1]:2": ("builder", "rpc_endpoint", "http://[::1]:2"),
    "--builder-confighub-endpoint=https://h": ("peering", "hub_endpoint", "https://h"),
    "--chain-id=11155111": ("builder", "chain_id", 11155111),
    "--orderflow-archive-endpoint=http://a": ("archive", "endpoint", "http://a"),
    "--max-request-body-size-bytes=5000": ("limits", "max_body_bytes", 5000),
    "--connections-per-peer=3": ("peering", "connections_per_peer", 3),
    "--max-local-requests-per-second=0": ("limits", "orders_per_second", 0),
    "--http.enable-gzip": ("limits", "accept_gzip", True),
    "--log-debug=false": ("logging", "log_debug", False),
}
OLD_VARIABLES = {
    "USER_LISTEN_ADDR": ("127.0.0.1:1", "listen", "user_addr"),
    "SYSTEM_LISTEN_ADDR": ("127.0.0.1:2", "listen", "system_addr"),
    "BUILDERHUB_ENDPOINT": ("https://h", "peering", "hub_endpoint"),
    "BUILDERNET_NODE_NAME": ("node-1", "peering", "node_name"),
    "CONN_PER_PEER": ("7", "peering", "connections_per_peer"),
    "MAX_USER_RPS": ("7", "limits", "orders_per_second"),
    "BUILDER_READY_ENDPOINT": ("http://[::1]:3", "builder", "ready_endpoint"),
}


def load(arguments: list[str], environment: dict[str, str]) -> ReceiverConfig:
    parser = argparse.ArgumentParser()
    add_flags(parser, RECEIVER)
    found = overrides(parser.parse_args(arguments), RECEIVER, environment)
    return config.load(ReceiverConfig, prefix=ENVIRONMENT_PREFIX, overrides=found)


@pytest.mark.parametrize("flag", OLD_FLAGS)
def test_flags_of_the_programs_before_work(flag):
    table, key, value = OLD_FLAGS[flag]
    assert getattr(getattr(load([flag], {}), table), key) == value


@pytest.mark.parametrize("name", OLD_VARIABLES)
def test_variables_of_the_programs_before_work(name):
    text, table, key = OLD_VARIABLES[name]
    assert str(getattr(getattr(load([], {name: text}), table), key)) == text


def test_what_makes_no_sense_here_is_taken():
    arguments = ["--cert-duration", "8760h", "--cert-hosts", "a", "--pprof", "--log-uid=true"]
    assert load(arguments, {}) == ReceiverConfig()


def test_two_names_of_one_setting_must_agree():
    with pytest.raises(UsageError, match="differ"):
        load([], {"USER_LISTEN_ADDR": "127.0.0.1:1", "LOCAL_LISTEN_ADDR": "127.0.0.1:2"})


@pytest.mark.parametrize(
    ("flags", "file"), [(RECEIVER, PAGE), (SENDER, PAGE.with_name("orderflow-sender.md"))]
)
def test_every_flag_and_variable_is_documented(flags, file):
    page = file.read_text()
    names = {name for flag in flags for name in (*flag.names, *flag.variables)}
    assert sorted(name for name in names if f"`{name}`" not in page) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("listen.user_addr", "nowhere"),
        ("builder.chain_id", "0"),
        ("builder.chain_id", "x"),
        ("listen.metrics_addr", "nowhere"),
        ("listen.certificate_file", "/x"),
        ("peering.flashbots_address", "0x1"),
        ("peering.connections_per_peer", "0"),
        ("archive.resume_below_mb", "2000"),
        ("archive.form", "xml"),
        ("limits.max_body_bytes", "0"),
        ("limits.max_txs_per_bundle", "101"),
        ("limits.orders_per_second", "-1"),
        ("limits.duplicate_capacity", "0"),
    ],
)
def test_what_cannot_be_is_refused(key, value):
    with pytest.raises(ConfigError):
        config.load(ReceiverConfig, overrides={key: value})


@pytest.mark.parametrize(
    "name",
    [
        "builder.endpoint",
        "builder.ready_endpoint",
        "builder.rpc_endpoint",
        "peering.hub_endpoint",
        "archive.endpoint",
    ],
)
@pytest.mark.parametrize(
    "url", ["127.0.0.1:8545", "ftp://127.0.0.1", "https://a..b", "https://[::1"]
)
def test_endpoints_are_looked_at_when_they_are_read(name, url):
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        config.load(ReceiverConfig, overrides={name: url})


def test_a_body_that_the_archive_could_not_keep_is_not_taken():
    given = {"limits.max_body_bytes": str(32 << 20)}
    config.load(ReceiverConfig, overrides=given)
    with pytest.raises(ConfigError, match=r"max_body_bytes is 33554432, with an archive at most"):
        config.load(ReceiverConfig, overrides={**given, "archive.endpoint": "https://a"})


def test_order_events_need_a_block_number():
    given = {"archive.endpoint": "https://a", "archive.form": "order-events"}
    config.load(ReceiverConfig, overrides=given)
    with pytest.raises(ConfigError, match=r"needs builder\.rpc_endpoint"):
        config.load(ReceiverConfig, overrides={**given, "builder.rpc_endpoint": ""})


def test_a_wrong_value_is_said_with_where_it_may_come_from():
    with pytest.raises(ConfigError, match=r"^flag or variable of limits\.max_body_bytes: .* 'x'$"):
        load([], {"MAX_REQUEST_BODY_SIZE_BYTES": "x"})


def test_hub_and_file_of_peers_exclude_one_another():
    given = {"peering.hub_endpoint": "http://h", "peering.peers_file": "/x"}
    with pytest.raises(ConfigError, match="exclude"):
        config.load(ReceiverConfig, overrides=given)


def test_the_file_that_ships_is_taken():
    shipped = PAGE.parents[2] / "services/config/orderflow-proxy.toml"
    found = config.load(ReceiverConfig, path=shipped)
    assert (found.listen.user_addr, found.listen.system_addr) == (
        "127.0.0.1:5543",
        "127.0.0.1:5542",
    )


def test_metrics_may_be_nowhere():
    assert load(["--metrics-addr="], {}).listen.metrics_addr == ""


def test_help_shows_examples(capsys):
    for arguments in (["--help"], ["receiver", "--help"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 0
    assert "--user-listen-addr" in capsys.readouterr().out


def test_a_wrong_setting_ends_with_2_and_a_hint(capsys, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[limits]\nmax_body_byte = 1\n")
    assert cli.main(["receiver", "--config", str(file)]) == 2
    assert "did you mean max_body_bytes?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("builder", "endpoint"),
        ("builder", "ready_endpoint"),
        ("builder", "rpc_endpoint"),
        ("peering", "hub_endpoint"),
    ],
)
def test_nothing_goes_unencrypted_to_another_machine_unasked(table: str, name: str) -> None:
    plain = {f"{table}.{name}": "http://10.0.2.2:1"}
    with pytest.raises(ConfigError, match=rf"{table}\.{name} .* unencrypted"):
        config.load(ReceiverConfig, overrides=plain)
    config.load(ReceiverConfig, overrides={**plain, f"{table}.dangerously_plain": "true"})


@pytest.mark.parametrize("url", ["", "ftp://pccs.example", "http://192.0.2.1:8081"])
def test_pccs_that_cannot_be_asked_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="pccs_url"):
        Evidence(pccs_url=url)
    Evidence(pccs_url="http://127.0.0.1:8081/pccs")
