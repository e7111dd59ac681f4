"""What tests with a double of a cluster share: a double that runs for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hopsworks_double import ClusterSpec, HopsworksDouble
from tests.worlds import GROUP


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HopsworksDouble]:
    """A cluster with the group of our tests, online."""
    with HopsworksDouble(tmp_path_factory.mktemp("cluster"), ClusterSpec(group=GROUP)) as found:
        yield found
