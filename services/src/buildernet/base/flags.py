# SPDX-License-Identifier: MIT
"""Flags and environment variables of commands that replace others, mapped to our settings.

The programs before ours name the same thing differently; every name works, and a test of each
service sees to it that they are documented.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.base.errors import ConfigError, UsageError

TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""What Go's `strconv.ParseBool` takes, and with it the programs before ours."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One setting, by its names on the command line and in the environment."""

    names: tuple[str, ...]
    key: str
    """Dotted name of the setting; empty for a flag that is taken and has no effect."""
    text: str
    variables: tuple[str, ...] = ()
    boolean: bool = False


def add_flags(parser: argparse.ArgumentParser, flags: Iterable[Flag]) -> None:
    """Let a parser take flags; booleans as `--flag`, `--flag=true` or `--flag=false`."""
    for flag in flags:
        named = f" (environment: {', '.join(flag.variables)})" if flag.variables else ""
        parser.add_argument(
            *flag.names,
            dest=_dest(flag),
            metavar="BOOL" if flag.boolean else "VALUE",
            nargs="?" if flag.boolean else None,
            const="true" if flag.boolean else None,
            help=flag.text + named,
        )


def add_verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    flags: Iterable[Flag],
) -> argparse.ArgumentParser:
    """Add a verb that runs a service: with a configuration file, `--debug` and its flags."""
    parser = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    add_flags(parser, flags)
    return parser


def overrides(
    arguments: argparse.Namespace, flags: Iterable[Flag], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the settings that flags and environment give; a flag wins.

    Raises:
        UsageError: Two variables of one setting differ.
        ConfigError: A boolean is none.
    """
    found: dict[str, str] = {}
    for flag in flags:
        if not flag.key:
            continue
        values = {name: environment[name] for name in flag.variables if environment.get(name)}
        given = getattr(arguments, _dest(flag))
        if given is not None:
            found[flag.key] = given
        elif len(set(values.values())) > 1:
            raise UsageError(f"{' and '.join(values)} differ", hint="they name the same setting")
        elif values:
            found[flag.key] = next(iter(values.values()))
        if flag.boolean and flag.key in found:
            named = " or ".join((flag.names[0], *flag.variables))
            found[flag.key] = str(parse_boolean(found[flag.key], name=named)).lower()
    return found


def parse_boolean(text: str, *, name: str) -> bool:
    """Read a boolean that is given as text.

    Raises:
        ConfigError: It is none; the message calls it `name`.
    """
    if text not in TRUE | FALSE:
        raise ConfigError(f"{name}: expected true or false, got {text[:40]!r}")
    return text in TRUE


def ignored_value(arguments: argparse.Namespace, name: str) -> str | None:
    """Return what was given for a flag without a setting."""
    value = getattr(arguments, name.lstrip("-").replace("-", "_"))
    return None if value is None else str(value)


def _dest(flag: Flag) -> str:
    return flag.key or flag.names[0].lstrip("-").replace("-", "_")
