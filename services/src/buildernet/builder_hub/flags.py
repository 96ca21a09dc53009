# SPDX-License-Identifier: MIT
"""Flags and environment variables: the reference's names, mapped to our settings.

Every setting that is no list can also be set by `BUILDER_HUB_` and its dotted name in capitals,
dots as underscores. Options of the reference that nothing here does are refused when they would
matter, rather than ignored.
"""

import argparse
from collections.abc import Mapping
from typing import Final

from buildernet.base.errors import UsageError
from buildernet.base.flags import Flag, overrides

ENVIRONMENT_PREFIX: Final = "BUILDER_HUB_"


FLAGS: Final = (
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

_TRUE: Final = frozenset({"1", "t", "true", "y", "yes"})
_FALSE: Final = frozenset({"0", "f", "false", "n", "no"})

_ELSEWHERE: Final = (
    "VAULT_ENABLED",
    "AWS_BUILDER_CONFIGS_SECRET_PREFIX",
    "AWS_BUILDER_CONFIGS_SECRET_NAME",
)
"""Secret stores of the reference: here secrets are in the database, encrypted."""


def settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that flags and the reference's variables give; a flag wins.

    Raises:
        UsageError: A variable asks for a secret store that is not here, or a boolean is none.
    """
    found = overrides(arguments, FLAGS, environment)
    for flag in FLAGS:
        if flag.boolean and flag.key in found:
            found[flag.key] = _boolean(flag, found[flag.key])
    if found.get("secrets.in_memory") != "true":
        _require_no_other_store(environment)
    return found


def _require_no_other_store(environment: Mapping[str, str]) -> None:
    for name in _ELSEWHERE:
        if environment.get(name, "").lower() not in ("", *_FALSE):
            raise UsageError(
                f"{name} is set, but secrets are kept in the hub's own database, encrypted",
                hint="unset it, name a --secrets-key-file, and post the documents once",
            )


def _boolean(flag: Flag, text: str) -> str:
    lower = text.lower()
    if lower in _TRUE:
        return "true"
    if lower in _FALSE:
        return "false"
    raise UsageError(f"{flag.names[0]} is {text[:40]!r}, not true or false")
