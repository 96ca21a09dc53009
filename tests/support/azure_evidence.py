# SPDX-License-Identifier: MIT
"""Recorded evidence of Azure confidential VMs, as the JSON document that a peer sends."""

from __future__ import annotations

import functools
import json
from typing import Any, Final

import yaml

from tests.support.shared_data import shared_file

FOLDER: Final = "attestation/flashbots-attested-tls"
WITHOUT_ISSUERS: Final = "azure-tdx-1764662251380464271.yaml"
"""AK certificate without its intermediate, as sent until spring 2026; collateral is recorded."""
WITHOUT_ISSUERS_COLLATERAL: Final = "azure-collateral.yaml"
WITHOUT_ISSUERS_AT: Final = 1771412391
WITH_ISSUERS: Final = "azure-tdx-with-ak-intermediates-1780922561.yaml"
"""Complete: AK certificate, two intermediates, both below the pinned root."""
WITH_ISSUERS_COLLATERAL: Final = "azure-collateral-with-ak-intermediates-1780922561.yaml"
WITH_ISSUERS_AT: Final = 1780922561


def recorded_document(name: str) -> dict[str, Any]:
    """The evidence as JSON values, or a skipped test."""
    document: dict[str, Any] = json.loads(recorded_json(name))
    return document


@functools.cache  # reading YAML takes longer than verifying what it holds
def recorded_json(name: str) -> bytes:
    """The evidence as JSON, or a skipped test."""
    return json.dumps(yaml.safe_load(shared_file(f"{FOLDER}/{name}").read_bytes())).encode()
