# SPDX-License-Identifier: MIT
"""A network of processes that the tests of faults share: starting one takes ten seconds."""

from collections.abc import Iterator

import pytest

from tests.support.network import Network, network


@pytest.fixture(scope="session")
def _network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("network"), ("node_a", "node_b")) as running:
        yield running


@pytest.fixture
def whole(_network: Network) -> Network:
    """A network in which everything runs; what a failed test left dead is started again."""
    _network.restore()
    return _network
