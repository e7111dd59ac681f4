"""Which ingestions are waited for, and for how long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from schemas.hopsworks import HopsworksStore
from stores.errors import ClusterUnreachable, NotThere
from stores.hopsworks.ingestion import LOOKED_BACK, await_ingestion
from stores.hopsworks.session import Session
from tests.worlds import GROUP

SETTINGS = HopsworksStore(ingestion_timeout=0.2, ingestion_delay=30.0)


class Ingesting:
    """A group whose ingestions have `rows` of `entries`; each look at an unfinished one writes `speed` rows more."""

    def __init__(self, *ingestions: tuple[int | None, int] | None, speed: int = 0) -> None:
        self._all = {at: list(one) for at, one in enumerate(ingestions, 1) if one is not None}
        self._speed = speed
        self.paused: list[float] = []
        self.looked: set[int] = set()

    def wait(self, settings: HopsworksStore = SETTINGS) -> None:
        session = SimpleNamespace(ask=lambda _what, call: call())
        await_ingestion(cast("Session", session), GROUP, self, settings, self.paused.append)

    def get_latest_online_ingestion(self) -> Any:
        return self.get_online_ingestion(max(self._all)) if self._all else None

    def get_online_ingestion(self, number: int) -> Any:
        if number not in self._all:
            raise NotThere("HTTP 404")
        self.looked.add(number)
        entries, rows = self._all[number]
        if entries is not None and rows is not None and rows < entries:
            self._all[number][1] = rows + self._speed
        return SimpleNamespace(id=number, num_entries=entries, results=[SimpleNamespace(rows=rows)])


def test_nothing_is_waited_for_where_all_is_written() -> None:
    group = Ingesting((5, 5), (3, 4))
    group.wait()
    assert group.paused == []
    Ingesting().wait()


def test_rows_that_are_on_their_way_are_waited_for() -> None:
    group = Ingesting((5, 1), speed=1)
    group.wait()
    assert group.paused


def test_an_earlier_ingestion_is_waited_for_when_the_latest_is_done() -> None:
    """Two writers: the small one is through, the large one is not, and its events may have been heard."""
    with pytest.raises(ClusterUnreachable, match=r"ingestion 1 of listeners: 4 of 5 rows"):
        Ingesting((5, 1), None, (2, 2)).wait()


def test_so_many_are_looked_at_and_no_more() -> None:
    group = Ingesting((5, 1), *[(1, 1)] * LOOKED_BACK)
    group.wait()
    assert group.looked == set(range(2, LOOKED_BACK + 2))


def test_an_ingestion_that_cannot_tell_is_given_its_delay() -> None:
    group = Ingesting((None, 3), (2, 2))
    group.wait()
    assert group.paused == [30.0]
