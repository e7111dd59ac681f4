"""A cluster, a session and registries for each test. In its process the pauses of the SDK are left out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from stores.hopsworks.session import Session
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from tests.hopsworks_double import HopsworksDouble
from tests.hopsworks_double.clients.registries import Open, registry_at, running_double, without_pauses
from tests.hopsworks_double.clients.session import session_of


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pauses(monkeypatch)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[HopsworksDouble]:
    with running_double(tmp_path / "double") as double:
        yield double


@pytest.fixture
def session(double: HopsworksDouble) -> Iterator[Session]:
    with session_of(double, request_timeout=1.0, retry_for=0.5) as session:
        yield session


@pytest.fixture
def registry(session: Session, tmp_path: Path) -> HopsworksModelRegistry:
    return registry_at(session, tmp_path / "cache")


@pytest.fixture
def another(session: Session, tmp_path: Path) -> Open:
    """Opens the registry as another machine would, with nothing in its cache."""
    numbers = count()
    return lambda: registry_at(session, tmp_path / f"cache-{next(numbers)}")
