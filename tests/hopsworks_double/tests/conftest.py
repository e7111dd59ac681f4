"""What the tests of the double share: a cluster with twenty rows, the SDK logged in to it, and silence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hopsworks_double.clients.sdk import Client, cluster_with
from tests.worlds import World, names


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The SDK logs whole tracebacks of what these tests provoke."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with cluster_with(tmp_path) as client:
        client.double.store.put(World().rows(names(20)))
        yield client
