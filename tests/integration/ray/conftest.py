"""The Ray cluster of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.ray.cluster import TwoNodes, two_nodes
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """Two nodes, each with a folder for its copies; this process is connected to them."""
    ray = pytest.importorskip("ray")
    with two_nodes(tmp_path_factory.mktemp("copies")) as two:
        try:
            ray.init(address=two.address, log_to_driver=False)
            wait_until(lambda: ray.cluster_resources().get("CPU") == 2, 60.0, "two nodes")
            yield two
        finally:
            ray.shutdown()
