# SPDX-License-Identifier: MIT
"""A whole network of processes on loopback: hub, archive, and nodes that prove themselves.

Each part can be killed and started again where it was. `make demo` and the tests of faults run it;
what sends orders and counts them is in `orderflow_load`.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.archive_process import Archive, make_archive
from tests.support.hub_identity import HubIdentity, write_identity
from tests.support.network_hub import Hub, make_hub
from tests.support.network_node import NetworkNode, make_node
from tests.support.network_trust import Image, make_trust, native_image
from tests.support.postgres import find_programs, running_postgres
from tests.support.program import Program, ProgramError, free_port, running, wait_until
from tests.support.simulated_mount import mounted_tee


@dataclass
class Network:
    """Everything."""

    hub: Hub
    archive: Archive
    nodes: tuple[NetworkNode, ...]
    next_number: int = 1
    """Of the next order; no two of a network have the same."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """All processes but PostgreSQL's, in the order in which they are started."""
        per_node = (
            (one.builder.program, one.attested, one.client, one.proxy, one.registration)
            for one in self.nodes
        )
        own = (self.hub.service, self.hub.front, self.archive.program)
        return (*own, *(program for programs in per_node for program in programs))

    def restore(self) -> None:
        """Start what is dead, so that a test that failed spoils no other."""
        if self.hub.postgres.process is None:
            self.hub.postgres.start()
        for program in self.programs:
            if not program.is_alive:
                program.start()
        wait_until(self.is_whole, "everything runs")

    def is_whole(self) -> bool:
        """Whether every node has proved itself to every other, and the hub serves them."""
        others = len(self.nodes) - 1
        return self.hub.readiness() == 200 and all(
            node.count("peers") == others and node.readiness() == 200 for node in self.nodes
        )

    # Any: JSON.
    def archived(self, first: int) -> list[dict[str, Any]]:
        """Return the rows of orders from a number on."""
        rows = self.archive.rows(limit="1000")
        return [row for row in rows if row["min_timestamp"] >= first]


@contextmanager
def network(
    folder: Path,
    names: Sequence[str],
    *,
    images: Sequence[Image] = (),
    hub_port: int = 0,
    hub_identity: HubIdentity | None = None,
    archive_port: int = 0,
    nodes_host: str = "127.0.0.1",
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Network]:
    """Start a network, and end it with its processes.

    Args:
        folder: Gets logs and data.
        names: Of the nodes here; they call the hub from 127.0.0.2, 127.0.0.3 …
        images: What nodes may run, besides those here.
        hub_port: Where nodes reach the hub; 0 for any.
        hub_identity: By what they know it; None makes one.
        archive_port: Where they reach the archive; 0 for any.
        nodes_host: Where nodes that are elsewhere reach those here.
        say: Told what happens.

    Raises:
        ProgramError: PostgreSQL or FUSE is missing, or a part does not start.
    """
    _require_tools()
    with ExitStack() as stack:
        say("starting PostgreSQL, builder-hub, the archive and attested proxies")
        # Keys of nodes: attested-proxy lets none reach a disk.
        memory = stack.enter_context(tempfile.TemporaryDirectory(prefix="nodes-", dir="/dev/shm"))
        (folder / "tee").mkdir()
        tee = stack.enter_context(mounted_tee(folder / "tee"))
        postgres = stack.enter_context(running_postgres())
        trust = make_trust(folder, [*images, native_image()])
        identity = hub_identity or write_identity(folder, "127.0.0.1")
        hub = make_hub(folder, postgres, trust, port=hub_port or free_port(), identity=identity)
        archive = make_archive(
            folder / "archive", hub_url=hub.internal_url, port=archive_port or free_port()
        )
        nodes = tuple(
            make_node(
                Path(memory, name),
                name,
                f"127.0.0.{number}",
                trust=trust,
                tsm=tee,
                hub_port=hub.port,
                hub_sha256=identity.sha256,
                archive_url=archive.url,
            )
            for number, name in enumerate(names, start=2)
        )
        whole = Network(hub, archive, nodes)
        late = [program for node in nodes for program in (node.proxy, node.registration)]
        stack.enter_context(running(*(one for one in whole.programs if one not in late)))
        for image in trust.images:
            hub.add_image(image)
        for node in nodes:
            place = f"{nodes_host}:{node.ports['system']}"
            hub.add_node(node.name, ip_address=node.ip, place=place)
        say(f"starting orderflow-proxy and node-registration of {', '.join(names)}")
        stack.enter_context(running(*late))
        yield whole


def _require_tools() -> None:
    if find_programs() is None:
        raise ProgramError("PostgreSQL is not installed", hint="apt-get install postgresql")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise ProgramError("no access to /dev/fuse, which the nodes' simulated TEE needs")
