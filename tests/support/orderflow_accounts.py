# SPDX-License-Identifier: MIT
"""Where every order of a load went: builders, archive, counters."""

from collections import Counter

from tests.support.network_node import BUILDER, NetworkNode
from tests.support.orderflow_load import Load, count_accepted, count_dropped, until


async def require_at_builder(load: Load, node: NetworkNode, *, once: bool = True) -> None:
    """Every order that a user was told is taken is there; `once`: and none of them twice."""
    wanted = load.acknowledged
    await until(lambda: wanted <= set(node.taken()), f"all orders at the builder of {node.name}")
    if once:
        assert Counter(number for number in node.taken() if number in wanted) == Counter(wanted)


async def require_in_archive(load: Load, *, others: frozenset[int] = frozenset()) -> None:
    """Every order that a user was told is taken is in the archive once, and no other.

    Args:
        load: What was sent to the first node.
        others: Orders whose senders got no answer, or sent them to the second node: each may be
            there once.
    """
    network = load.network
    for node in network.nodes:
        await until(lambda one=node: _has_sent_all(one), f"spool of {node.name} is empty")  # type: ignore[misc]
    rows = Counter(row["min_timestamp"] for row in network.archived(load.first))
    assert not load.acknowledged - rows.keys()
    assert not rows.keys() - load.acknowledged - others
    assert set(rows.values()) == {1}


async def require_counted(load: Load) -> None:
    """What the first node counted since the load began is what users were told."""
    first, second = load.network.nodes
    assert count_accepted(load.network) - load.accepted_before == len(load.acknowledged)
    for peer in (BUILDER, second.name):
        first.require_balance(peer)
    second.require_balance(BUILDER)


async def require_everything(load: Load, *, once: bool = True) -> None:
    """No order was refused, dropped or lost anywhere."""
    assert (load.refused, load.unanswered) == (Counter(), set())
    for node in load.network.nodes:
        await require_at_builder(load, node, once=once)
    await require_in_archive(load)
    await require_counted(load)
    assert count_dropped(load.network) == load.dropped_before


def _has_sent_all(node: NetworkNode) -> bool:
    return node.count("archive_spool_records") == 0 and node.count("archive_held_bytes") == 0
