# SPDX-License-Identifier: MIT
"""Collateral in files: dcap-qvl's JSON, the same as YAML, and bundles of several platforms.

A bundle is `{"schema": "buildernet-collateral/1", "collaterals": [{…}, …]}`, each entry in
dcap-qvl's shape: binary fields in hexadecimal, PEM and signed JSON as text.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from buildernet.attestation.collateral.collateral import Collateral
from buildernet.attestation.collateral.flat_yaml import parse_flat_yaml
from buildernet.attestation.errors import CollateralError

BUNDLE_SCHEMA: Final = "buildernet-collateral/1"

MAX_FILE_BYTES: Final = 16 << 20
"""One platform's collateral has 20 KiB; a bundle for `MAX_PLATFORMS` of them fits."""

MAX_PLATFORMS: Final = 256
"""Intel has sold some dozens of kinds of TDX platforms."""

_HEXADECIMAL: Final = {"root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"}
_NAMES: Final = tuple(field.name for field in fields(Collateral))
_OPTIONAL: Final = {"pck_certificate_chain"}


def parse_collateral(data: bytes) -> tuple[Collateral, ...]:
    """Read a file of any of the three forms.

    Raises:
        CollateralError: none of them, a field missing, unknown or damaged, or over a limit.
    """
    if len(data) > MAX_FILE_BYTES:
        raise CollateralError(f"collateral has {len(data)} bytes, limit {MAX_FILE_BYTES}")
    try:
        text = data.decode()
        document = json.loads(text) if text.lstrip().startswith("{") else parse_flat_yaml(text)
    except (ValueError, RecursionError) as exc:
        raise CollateralError(f"collateral is neither JSON nor YAML: {str(exc)[:200]}") from exc
    if not isinstance(document, dict):
        raise CollateralError("collateral is not a JSON object")
    if document.get("schema") != BUNDLE_SCHEMA:
        return (_parse(document),)
    entries = document.get("collaterals")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_PLATFORMS:
        raise CollateralError(f"bundle does not list 1 to {MAX_PLATFORMS} collaterals")
    return tuple(_parse(entry) for entry in entries)


def encode_bundle(collaterals: Iterable[Collateral]) -> str:
    """Write a bundle; `parse_collateral` reads it back to equal values."""
    entries = [_encode(collateral) for collateral in collaterals]
    return json.dumps({"schema": BUNDLE_SCHEMA, "collaterals": entries}, indent=1) + "\n"


def _parse(entry: Mapping[str, Any]) -> Collateral:  # Any: JSON before it is checked
    if not isinstance(entry, dict):
        raise CollateralError("an entry of the bundle is not a JSON object")
    unknown = sorted(set(entry) - set(_NAMES))
    missing = [name for name in _NAMES if name not in entry and name not in _OPTIONAL]
    if unknown or missing:
        problem = f"lacks {missing[0]}" if missing else f"has the unknown field {unknown[0][:40]!r}"
        raise CollateralError(f"collateral {problem}", hint=f"it needs: {', '.join(_NAMES)}")
    values = {name: _bytes(name, value) for name, value in entry.items() if value is not None}
    try:
        return Collateral(**values)
    except TypeError as exc:
        raise CollateralError(f"collateral is incomplete: {exc}") from exc


def _bytes(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise CollateralError(f"{name} of the collateral is not text")
    try:
        return bytes.fromhex(value) if name in _HEXADECIMAL else value.encode()
    except ValueError as exc:
        raise CollateralError(f"{name} of the collateral cannot be decoded") from exc


def _encode(collateral: Collateral) -> dict[str, str]:
    values = {name: getattr(collateral, name) for name in _NAMES}
    return {
        name: value.hex() if name in _HEXADECIMAL else value.decode()
        for name, value in values.items()
        if value is not None
    }
