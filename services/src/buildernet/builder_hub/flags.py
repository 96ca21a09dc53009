# SPDX-License-Identifier: MIT
"""Flags and environment variables: the reference's names, mapped to our settings.

Every setting can also be set by `BUILDER_HUB_` and its dotted name in capitals, dots as
underscores; lists with commas. Options of the reference that nothing here does are refused when
they would matter, rather than ignored.
"""

import argparse
from collections.abc import Mapping
from typing import Final

from buildernet.base.errors import UsageError
from buildernet.base.flags import FALSE, Flag, ignored_value, overrides

ENVIRONMENT_PREFIX: Final = "BUILDER_HUB_"


SETTINGS: Final = (
    Flag(("--listen-addr",), "listen_addr", "instance API", ("LISTEN_ADDR",)),
    Flag(("--admin-addr",), "admin_addr", "admin API and pages", ("ADMIN_ADDR",)),
    Flag(("--internal-addr",), "internal_addr", "internal API", ("INTERNAL_ADDR",)),
    Flag(("--metrics-addr",), "metrics_addr", "Prometheus metrics", ("METRICS_ADDR",)),
    Flag(("--postgres-dsn",), "database_url", "database, also sqlite:///FILE", ("POSTGRES_DSN",)),
    Flag(("--drain-seconds",), "drain_seconds", "how long an answer to /drain takes"),
    Flag(("--admin-basic-user",), "admin.basic_user", "name of the admin", ("ADMIN_BASIC_USER",)),
    Flag(
        ("--admin-basic-password-bcrypt",),
        "admin.basic_password_bcrypt",
        "bcrypt hash of the admin's password",
        ("ADMIN_BASIC_PASSWORD_BCRYPT",),
    ),
    Flag(
        ("--disable-admin-auth",),
        "admin.dangerously_disable_auth",
        "no password; only with a loopback --admin-addr",
        ("DISABLE_ADMIN_AUTH",),
        boolean=True,
    ),
    Flag(
        ("--mock-secrets",),
        "secrets.in_memory",
        "encrypt secrets with a key that is lost at the end",
        ("MOCK_SECRETS",),
        boolean=True,
    ),
    Flag(("--secrets-key-file",), "secrets.key_file", "keys that encrypt secrets"),
    Flag(("--log-json",), "logging.log_json", "log as JSON", ("LOG_JSON",), boolean=True),
    Flag(("--log-debug",), "logging.log_debug", "log every request", ("LOG_DEBUG",), boolean=True),
    Flag(("--log-uid",), "", "taken and ignored", ("LOG_UID",), boolean=True),
    Flag(("--log-service",), "", "taken and ignored", ("LOG_SERVICE",)),
    Flag(("--pprof",), "", "taken and ignored", ("PPROF",), boolean=True),
)

_TEXT: Final = "refused: secrets are in the hub's own database, encrypted"

STORES: Final = (
    Flag(("--vault-enabled",), "", _TEXT, ("VAULT_ENABLED",), boolean=True),
    Flag(("--vault-addr",), "", _TEXT),
    Flag(("--vault-token",), "", _TEXT),
    Flag(("--vault-auth-method",), "", _TEXT),
    Flag(("--vault-kubernetes-role",), "", _TEXT),
    Flag(("--vault-kubernetes-auth-path",), "", _TEXT),
    Flag(("--vault-kubernetes-jwt-path",), "", _TEXT),
    Flag(("--vault-secret-path",), "", _TEXT),
    Flag(("--vault-mount-path",), "", _TEXT),
    Flag(
        ("--secret-prefix",),
        "",
        _TEXT,
        ("AWS_BUILDER_CONFIGS_SECRET_PREFIX", "AWS_BUILDER_CONFIGS_SECRET_NAME"),
    ),
)
"""Secret stores of the reference. Its other variables do nothing without these, there as here."""

FLAGS: Final = (*SETTINGS, *STORES)


def settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that flags and the reference's variables give; a flag wins.

    Raises:
        UsageError: A flag or variable asks for a secret store that is not here.
        ConfigError: A boolean is none.
    """
    found = overrides(arguments, FLAGS, environment)
    if found.get("secrets.in_memory") != "true":
        for flag in STORES:
            _require_unused(flag, arguments, environment)
    return found


def _require_unused(
    flag: Flag, arguments: argparse.Namespace, environment: Mapping[str, str]
) -> None:
    given = {name: environment.get(name, "") for name in flag.variables}
    given[flag.names[0]] = ignored_value(arguments, flag.names[0]) or ""
    for name, value in given.items():
        if value and value not in FALSE:
            raise UsageError(
                f"{name} is set, but secrets are kept in the hub's own database, encrypted",
                hint="leave it out, name a --secrets-key-file, and post the documents once",
            )
