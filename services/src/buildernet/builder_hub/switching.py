# SPDX-License-Identifier: MIT
"""Letting builders and images in or keeping them out, by the API and by the pages alike."""

from buildernet.builder_hub.builders import activate_builder
from buildernet.builder_hub.hub import Hub
from buildernet.builder_hub.journal import Actor, write_audit
from buildernet.builder_hub.measurement_store import activate_measurement


async def switch_builder(hub: Hub, actor: Actor, name: str, *, enabled: bool) -> None:
    """Enable or disable a builder.

    Raises:
        RequestError: What `activate_builder` raises.
    """
    async with hub.transaction() as connection:
        await activate_builder(connection, name, enabled=enabled, at_ms=hub.now_ms)
        action = "builder_enabled" if enabled else "builder_disabled"
        await write_audit(connection, actor, action, name, at_ms=hub.now_ms)


async def switch_measurement(hub: Hub, actor: Actor, name: str, *, enabled: bool) -> None:
    """Enable or disable a measurement.

    Raises:
        RequestError: What `activate_measurement` raises.
    """
    async with hub.transaction() as connection:
        await activate_measurement(connection, name, enabled=enabled, at_ms=hub.now_ms)
        action = "measurement_enabled" if enabled else "measurement_disabled"
        await write_audit(connection, actor, action, name, at_ms=hub.now_ms)
