# SPDX-License-Identifier: MIT
"""Configuration: one frozen dataclass from a TOML file, the environment and command-line flags.

A later source wins: default, file, environment, override. A key the dataclass does not have is
refused with the nearest one it has; a value of another type is refused. A secret is never a value:
give the dataclass a `Path` and read the file when it is needed.

Fields may be `str`, `int`, `bool`, `pathlib.Path`, one of these `| None`, a tuple of them, a nested
dataclass (a TOML table) or a tuple of dataclasses (an array of tables). A dataclass checks ranges
in `__post_init__` and raises `ConfigError`.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from buildernet.base.bounded_file import read_file
from buildernet.base.errors import ConfigError
from buildernet.base.flags import parse_boolean

MAX_CONFIG_BYTES: Final = 256 * 1024
"""Far above what a person writes; a device or a log given by mistake stops here."""

# A parsed TOML value has no narrower type than Any until it is checked below.
_Table = Mapping[str, Any]
_Config = TypeVar("_Config")

_SIMILAR: Final = 0.6
"""How alike a name must be to be meant, from 0 to 1; a mere guess would mislead."""


def load(
    kind: type[_Config],
    *,
    path: Path | None = None,
    prefix: str = "",
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, str | None] | None = None,
) -> _Config:
    """Build a configuration from all its sources.

    Args:
        kind: A frozen dataclass as the module docstring describes.
        path: TOML file; None takes the defaults.
        prefix: Start of the environment variables: `SYSTEM_API_` makes `general.listen_addr`
            readable from `SYSTEM_API_GENERAL_LISTEN_ADDR`. Empty: the environment is not read.
        environment: Normally `os.environ`.
        overrides: Values of command-line flags, and of the variables that go with them, by dotted
            key; None for one that was not given.

    Raises:
        ConfigError: A file cannot be read, a key is unknown or missing, a value has another type
            or is out of range.
    """
    texts: dict[str, tuple[str, str]] = {}
    if prefix:
        texts.update(_from_environment(kind, prefix=prefix, environment=environment or {}))
    for key, text in (overrides or {}).items():
        if text is not None:
            texts[key] = (f"flag or variable of {key}", text)
    table = {} if path is None else _read(path)
    return typing.cast(_Config, _build(kind, table, where=str(path or "default"), texts=texts))


def require_ranges(settings: object, **ranges: tuple[int, int]) -> None:
    """Raise `ConfigError` unless each attribute is between its lowest and its highest value."""
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ConfigError(f"{name} is {value}, must be between {low} and {high}")


def _read(path: Path) -> _Table:
    raw = read_file(path, limit=MAX_CONFIG_BYTES)
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as exc:  # not UTF-8, not TOML, nested without end
        raise ConfigError(f"configuration {path} is not valid TOML: {exc}") from exc


def _from_environment(
    kind: type, *, prefix: str, environment: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    variables = {prefix + key.upper().replace(".", "_"): key for key in _leaf_keys(kind)}
    found = {}
    for name, text in environment.items():
        if not name.startswith(prefix):
            continue
        if name not in variables:
            raise ConfigError(
                f"unknown environment variable {name}", hint=_nearest(name, variables)
            )
        found[variables[name]] = (f"environment, {name}", text)
    return found


def _leaf_keys(kind: type, name: str = "") -> Iterable[str]:
    for key, hint in _hints(kind).items():
        if dataclasses.is_dataclass(hint):
            yield from _leaf_keys(typing.cast(type, hint), f"{name}{key}.")
        else:
            yield name + key


def _build(
    kind: type,
    table: _Table,
    *,
    where: str,
    name: str = "",
    texts: Mapping[str, tuple[str, str]],
) -> object:
    hints = _hints(kind)
    for key in table:
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {name}{key}", hint=_nearest(key, hints))
    values = {}
    for field in dataclasses.fields(kind):
        key, hint = name + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            inner = _expect(dict, table.get(field.name, {}), at=f"{where}: {key}")
            nested = typing.cast(type, hint)
            values[field.name] = _build(nested, inner, where=where, name=f"{key}.", texts=texts)
        elif key in texts:
            source, text = texts[key]
            values[field.name] = _from_text(hint, text, at=source)
        elif field.name in table:
            values[field.name] = _value(hint, table[field.name], where=where, key=key)
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: {key} is missing")
    return kind(**values)


def _value(hint: object, value: object, *, where: str, key: str) -> object:
    """Check a TOML value against a field's type and return it in that type."""
    hint, at = _without_none(hint), f"{where}: {key}"
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        items = enumerate(_expect(list, value, at=at))
        return tuple(_value(inner, item, where=where, key=f"{key}[{i}]") for i, item in items)
    if dataclasses.is_dataclass(hint):
        table = _expect(dict, value, at=at)
        return _build(typing.cast(type, hint), table, where=where, name=f"{key}.", texts={})
    if hint is Path:
        return Path(_expect(str, value, at=at))
    return _expect(typing.cast(type, hint), value, at=at)


def _from_text(hint: object, text: str, *, at: str) -> object:
    """Read a value given as text by the environment or a flag."""
    hint = _without_none(hint)
    if hint is bool:
        return parse_boolean(text, name=at)
    if hint is int:
        try:
            return int(text)
        except ValueError as exc:
            raise ConfigError(f"{at}: expected a whole number, got {text[:40]!r}") from exc
    if hint in (str, Path):
        return typing.cast(type, hint)(text)
    if hint == tuple[str, ...]:
        return tuple(item for part in text.split(",") if (item := part.strip()))
    raise ConfigError(f"{at}: this list can only be set in the configuration file")


# Any: the caller names the type it wants and gets exactly that.
def _expect(kind: type, value: object, *, at: str) -> Any:
    if type(value) is not kind:  # exact: a TOML boolean is a Python int
        raise ConfigError(f"{at}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _hints(kind: type) -> dict[str, object]:
    return typing.get_type_hints(kind)


def _without_none(hint: object) -> object:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    return hint


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1, cutoff=_SIMILAR)
    return f"did you mean {match[0]}?" if match else f"known: {', '.join(known)}"
