"""The champion is brought to its place once, again after each change, and after trouble: never in a hurry."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from consumer.database.tables import promotions
from consumer.deployment import champion_follower
from consumer.deployment.champion_follower import ChampionFollower, NotBrought, wait_after
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.trouble import Trouble
from schemas.log_events.deployment import EXPORT_TROUBLE, EXPORT_WORKS
from tests.waiting import wait_until


class Place:
    """A place that counts what is brought, and fails when it is told to."""

    name = "place"

    def __init__(self) -> None:
        self.brought: list[int] = []
        self.fails: NotBrought | None = None
        self.lasts = threading.Event()
        self.lasts.set()
        self.tries = 0
        self.lost = False

    def there(self) -> int | None:
        return 0 if self.lost else None

    def bring(self, version: int) -> str:
        self.tries += 1
        self.lasts.wait()
        if self.fails:
            raise self.fails
        self.brought.append(version)
        self.lost = False
        return f"version {version} is there"

    def give_up(self) -> None:
        self.fails = NotBrought("given up", again=True)
        self.lasts.set()


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(champion_follower, "_LOOK_EVERY", 0.01)
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


def promote(ledger: Ledger, version: int) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=version, at=1.0, reason="the test says so"))


@contextmanager
def following(ledger: Ledger, place: Place) -> Iterator[ChampionFollower]:
    follower = ChampionFollower(ledger, place, Trouble(EXPORT_TROUBLE, EXPORT_WORKS, time.monotonic), lambda: now[0])
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def _brought(follower: ChampionFollower, place: Place, versions: list[int]) -> bool:
    return place.brought == versions and follower.words == f"version {versions[-1]} is there"


now = [0.0]


def test_every_champion_is_brought_once_and_a_rollback_too(ledger: Ledger) -> None:
    place = Place()
    with following(ledger, place) as follower:
        for version, so_far in ((1, [1]), (2, [1, 2]), (1, [1, 2, 1])):
            promote(ledger, version)
            wait_until(partial(_brought, follower, place, so_far), 20, f"version {version}")
        follower.start()  # a second start is none
    assert place.brought == [1, 2, 1]


def test_what_somebody_took_away_is_brought_again(ledger: Ledger) -> None:
    place = Place()
    promote(ledger, 3)
    with following(ledger, place):
        wait_until(lambda: place.brought == [3], 20, "the follower")
        place.lost = True
        wait_until(lambda: place.brought == [3, 3], 20, "the follower")


def test_after_trouble_the_next_try_waits_unless_the_champion_changes(ledger: Ledger) -> None:
    now[0] = 0.0
    place = Place()
    place.fails = NotBrought("no room", again=True)
    promote(ledger, 1)
    with following(ledger, place) as follower:
        wait_until(lambda: follower.words == "version 1 is not there: no room", 20, "the follower")
        tries, place.fails = place.tries, None
        now[0] = wait_after(1, again=True) - 0.1
        promote(ledger, 2)  # which is no reason to wait
        wait_until(lambda: place.brought == [2], 20, "the follower")
        assert (tries, place.tries) == (1, 2)
        place.fails = NotBrought("no room", again=True)
        promote(ledger, 3)
        wait_until(lambda: place.tries == 3, 20, "the follower")
        wait_until(lambda: "no room" in follower.words, 20, "the follower")
        place.fails = None
        now[0] += wait_after(1, again=True)
        wait_until(lambda: place.brought == [2, 3], 20, "the follower")


def test_stopping_gives_up_what_is_under_way_and_the_next_start_begins_again(ledger: Ledger) -> None:
    place = Place()
    place.lasts.clear()
    promote(ledger, 1)
    with following(ledger, place) as follower:
        wait_until(lambda: place.tries == 1, 20, "the follower")
        follower.stop()
        assert place.brought == []
        place.fails = None
        follower.start()
        wait_until(lambda: place.brought == [1], 20, "the follower")


def test_waits_double_and_are_long_where_a_try_soon_does_not_help() -> None:
    assert [wait_after(failures, again=True) for failures in (1, 2, 3, 9, 500)] == [5, 10, 20, 600, 600]
    assert [wait_after(failures, again=False) for failures in (1, 2, 3, 9)] == [600, 1200, 2400, 21600]
