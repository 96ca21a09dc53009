# SPDX-License-Identifier: MIT
import argparse
from pathlib import Path

import pytest

from buildernet.base import config
from buildernet.base.errors import BuildernetError, ConfigError, UsageError
from buildernet.base.flags import add_flags
from buildernet.builder_hub.config import AttestationConfig, HubConfig
from buildernet.builder_hub.flags import ENVIRONMENT_PREFIX, FLAGS, STORES, settings

ROOT = Path(__file__).resolve().parents[3]


def load(arguments: list[str], environment: dict[str, str]) -> HubConfig:
    parser = argparse.ArgumentParser()
    add_flags(parser, FLAGS)
    return config.load(
        HubConfig,
        prefix=ENVIRONMENT_PREFIX,
        environment=environment,
        overrides=settings(parser.parse_args(arguments), environment),
    )


def test_names_of_the_reference_work() -> None:
    loaded = load(
        ["--drain-seconds", "3", "--log-json", "--pprof", "--log-service=x"],
        {
            "LISTEN_ADDR": "127.0.0.1:1",
            "ADMIN_ADDR": "127.0.0.1:2",
            "INTERNAL_ADDR": "127.0.0.1:3",
            "METRICS_ADDR": "127.0.0.1:4",
            "POSTGRES_DSN": "postgres://a@b/c",
            "ADMIN_BASIC_USER": "root",
            "ADMIN_BASIC_PASSWORD_BCRYPT": "$2b$x",
            "DISABLE_ADMIN_AUTH": "1",
            "MOCK_SECRETS": "TRUE",
            "LOG_DEBUG": "f",
            "VAULT_ENABLED": "true",
        },
    )
    assert [loaded.listen_addr[-1], loaded.admin_addr[-1], loaded.internal_addr[-1]] == [*"123"]
    assert loaded.metrics_addr == "127.0.0.1:4"
    assert loaded.database_url == "postgres://a@b/c"
    assert (loaded.admin.basic_user, loaded.admin.basic_password_bcrypt) == ("root", "$2b$x")
    assert loaded.admin.dangerously_disable_auth
    assert loaded.secrets.in_memory
    assert (loaded.logging.log_json, loaded.logging.log_debug) == (True, False)
    assert loaded.drain_seconds == 3


def test_own_names_work_and_flags_win() -> None:
    environment = {"BUILDER_HUB_ATTESTATION_TRUST_ROOT": "/r.pem", "LISTEN_ADDR": "127.0.0.1:1"}
    loaded = load(["--listen-addr", "127.0.0.1:9"], environment)
    assert loaded.attestation.trust_root == Path("/r.pem")
    assert loaded.listen_addr == "127.0.0.1:9"


@pytest.mark.parametrize("name", ["VAULT_ENABLED", "AWS_BUILDER_CONFIGS_SECRET_PREFIX"])
def test_secret_store_that_is_not_here_is_not_ignored(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        load([], {name: "true"})
    load([], {name: "", "VAULT_ADDR": "http://localhost:8200"})  # no store without the first


@pytest.mark.parametrize("flag", [name for flag in STORES for name in flag.names])
def test_flag_of_another_store_is_answered_with_a_hint(flag: str) -> None:
    with pytest.raises(UsageError, match=flag) as error:
        load([f"{flag}=true"], {})
    assert "secrets-key-file" in (error.value.hint or "")
    load([f"{flag}=true", "--mock-secrets"], {})


def test_lists_can_be_set_by_the_environment() -> None:
    loaded = load(
        [],
        {
            "BUILDER_HUB_ATTESTATION_TRUSTED_PROXIES": "10.0.0.7, 10.1.0.0/16",
            "BUILDER_HUB_ATTESTATION_EXTRA_SERVICES": "a,b",
        },
    )
    assert loaded.attestation.trusted_proxies == ("10.0.0.7", "10.1.0.0/16")
    assert loaded.attestation.extra_services == ("a", "b")


def test_boolean_is_one() -> None:
    with pytest.raises(ConfigError, match="disable-admin-auth or DISABLE_ADMIN_AUTH"):
        load([], {"DISABLE_ADMIN_AUTH": "maybe"})


@pytest.mark.parametrize("address", ["0.0.0.0:1", ":1", "10.0.0.1:1", "[::]:1"])
def test_authentication_is_only_switched_off_on_loopback(address: str) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        load(["--disable-admin-auth", "--admin-addr", address], {})
    for mine in ("127.0.0.1:1", "[::1]:1", "localhost:1"):
        load(["--disable-admin-auth", "--admin-addr", mine], {})


@pytest.mark.parametrize(
    "changes",
    [
        {"trusted_proxies": ("0.0.0.0/0",)},
        {"trusted_proxies": ("::/0",)},
        {"trusted_proxies": ("proxy",)},
        {"extra_services": ("ip",)},
        {"max_evidence_age_s": 1},
    ],
)
def test_setting_that_would_open_the_hub_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BuildernetError):
        AttestationConfig(**changes)  # type: ignore[arg-type]


def test_repr_holds_no_secret() -> None:
    loaded = load(["--postgres-dsn", "postgres://a:s3cret@b/c"], {"ADMIN_BASIC_USER": "x"})
    assert "s3cret" not in repr(loaded)
    assert "basic_password_bcrypt=" not in repr(loaded)


def test_every_flag_and_variable_is_documented() -> None:
    page = (ROOT / "docs/services/builder-hub.md").read_text()
    for flag in FLAGS:
        for variable in flag.variables:
            assert variable in page or flag.key == "", variable
        assert flag.names[0] in page or any(v in page for v in flag.variables), flag.names


@pytest.mark.parametrize("url", ["", "ftp://pccs.example", "http://192.0.2.1:8081"])
def test_pccs_that_cannot_be_asked_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="pccs_url"):
        AttestationConfig(pccs_url=url)
    AttestationConfig(pccs_url="http://127.0.0.1:8081/pccs")
