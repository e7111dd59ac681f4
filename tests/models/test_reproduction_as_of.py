"""A version of a cluster trained again on the rows of then, where the feature group has an event time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.cycle import CycleKind, CycleRequest, Lineage, Outcome, TrainerSettings
from schemas.hopsworks import HopsworksRegistry, HopsworksStore
from schemas.jobs.reproduction import Reproduction, ReproductionRequest
from stores.hopsworks.session import end_session
from tests.hopsworks_double import ClusterSpec, HopsworksDouble
from tests.hopsworks_double.clients.registries import without_pauses
from tests.hopsworks_double.clients.session import cluster_of
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.reproduction.run import reproduce
from trainer.run import run_cycle

THEN = datetime(2026, 11, 28, 12, tzinfo=UTC)


def rows(world: World, users: list[str], at: datetime | None) -> dict[str, Any]:
    told = {} if at is None else {"told_at": int(at.timestamp() * 1000)}
    return {user: {**row, **told} for user, row in world.rows(users).items()}


@contextmanager
def running(folder: Path, event_time: str | None) -> Iterator[tuple[HopsworksDouble, TrainerSettings]]:
    with HopsworksDouble(folder / "cluster", ClusterSpec(group=GROUP, event_time=event_time)) as double:
        stores = {"feature_store": HopsworksStore(), "model_registry": HopsworksRegistry(await_registration=10)}
        cluster = {"hopsworks": cluster_of(double), **stores}
        yield double, trainer_settings(folder).model_copy(update=cluster)
        end_session()


@pytest.mark.full
@pytest.mark.parametrize("event_time", ["told_at", None])
def test_the_rows_of_then_are_read_where_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event_time: str | None
) -> None:
    without_pauses(monkeypatch)
    with running(tmp_path, event_time) as (double, settings):
        again = trained_twice(double, settings, keeps=event_time is not None)
    if event_time is None:
        assert (again.rows_as_of, again.identical) == (None, False)
    else:
        assert (again.rows_as_of, again.identical) == (THEN, True)


def trained_twice(double: HopsworksDouble, settings: TrainerSettings, *, keeps: bool) -> Reproduction:
    """A version, and after a third of the users has changed the same one again."""
    users = names(300)
    double.store.put(rows(World(), users, THEN if keeps else None))
    request = CycleRequest(
        cycle_id="c1",
        kind=CycleKind.BOOTSTRAP,
        reason="first",
        base_version=None,
        users=(),
        lineage=Lineage(offsets={}, changed_users=0),
        settings=settings,
    )
    result = run_cycle(request, lambda _: None, lambda: False)
    assert result is not None
    assert result.outcome is Outcome.REGISTERED, result
    double.store.put(rows(World(seed=4), users[:100], THEN + timedelta(hours=1) if keeps else None))
    return reproduce(ReproductionRequest(version=1, settings=settings, as_of=THEN), lambda _: None)
