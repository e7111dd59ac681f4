"""Vectors follow the champion: when a set is due, and what the thread does about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from consumer.ledger.cycles import Base
from consumer.settings import Settings, load_settings
from consumer.vectors import follower as module
from consumer.vectors.follower import VectorsFollower
from consumer.vectors.following import is_due, note_trouble, vectors_now
from consumer.vectors.process import VectorsTrouble
from retrainer.cli.status_rows import vectors_in_words
from schemas.jobs.vectors import CURRENT_FILE, STAMP_FILE, Origin, Tower, VectorsRequest, VectorStamp
from tests.waiting import wait_until


def stamp(version: int, as_of: str | None = "c1", model: str = "two_tower_recommender") -> VectorStamp:
    return VectorStamp(
        origin=Origin(model_name=model, version=version, towers=version),
        cycle_id="c1",
        space_id="s",
        dimension=4,
        towers=tuple(Tower),
        users=9,
        as_of=as_of,
        computed=9,
        removed=0,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("base", "found", "due"),
    [
        (Base(None, None), None, False),
        (Base(1, "c1"), None, True),
        (Base(1, "c1"), stamp(1), False),
        (Base(2, "c2"), stamp(1), True),
        (Base(1, "c1"), stamp(2), True),  # somebody has gone back
        (Base(1, "c2"), stamp(1), True),  # a cycle has settled changes, and no version came of it
        (Base(1, "c1"), stamp(1, model="other"), True),
    ],
)
def test_a_set_is_due_where_version_or_rows_moved(base: Base, found: VectorStamp | None, due: bool) -> None:
    assert is_due(base, "two_tower_recommender", found) is due


class World:
    """A ledger of two answers, and a process that publishes at once, or does what a test says."""

    made: ClassVar[list[VectorsRequest]] = []

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.base = Base(1, "c1")
        self.cycle_runs = False
        self.does: Callable[[VectorsRequest], VectorStamp] = self.publish
        self.requests: list[VectorsRequest] = []
        self.ended = threading.Event()

    def process(self, _settings: Settings, request: VectorsRequest) -> World:
        self.requests.append(request)
        return self

    def answer(self, _tick: Callable[[int, int | None], None]) -> VectorStamp:
        return self.does(self.requests[-1])

    def stop(self) -> None:
        self.ended.set()

    def publish(self, request: VectorsRequest) -> VectorStamp:
        (self.out / "set").mkdir(parents=True, exist_ok=True)
        made = stamp(request.version, request.as_of)
        (self.out / "set" / STAMP_FILE).write_text(made.model_dump_json())
        (self.out / CURRENT_FILE).write_text('{"set": "set"}')
        return made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RETRAINER_VECTORS__OUT", str(made.out))
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(module, "VectorsProcess", made.process)
    monkeypatch.setattr(module, "_IDLE", 0.01)
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.01)
    return made


@pytest.fixture
def follower(world: World) -> Iterator[VectorsFollower]:
    made = VectorsFollower(load_settings(), lambda: world.base, lambda: world.cycle_runs)
    yield made
    made.stop()


def test_each_promotion_is_published_once(world: World, follower: VectorsFollower) -> None:
    follower.start()
    follower.start()
    wait_until(lambda: vectors_now(load_settings())["version"] == 1, 5, "version 1")  # type: ignore[index]
    world.base = Base(2, "c2")
    wait_until(lambda: vectors_now(load_settings())["version"] == 2, 5, "version 2")  # type: ignore[index]
    follower.stop()
    follower.start()
    world.base = Base(2, "c3")
    wait_until(lambda: len(world.requests) == 3, 5, "the rows of c3")
    assert [(one.version, one.as_of, one.changed_only) for one in world.requests] == [
        (1, "c1", True),
        (2, "c2", True),
        (2, "c3", True),
    ]


def test_trouble_is_shown_and_tried_again(world: World, follower: VectorsFollower) -> None:
    def fails(_request: VectorsRequest) -> VectorStamp:
        raise VectorsTrouble("the disk is full")

    world.does = fails
    follower.start()
    wait_until(lambda: len(world.requests) > 2, 5, "another try")
    found = vectors_now(load_settings())
    assert found is not None
    assert "not published: the disk is full" in vectors_in_words(found, 1)
    world.does = world.publish
    wait_until(lambda: (vectors_now(load_settings()) or {})["version"] == 1, 5, "version 1")
    wait_until(lambda: (vectors_now(load_settings()) or {})["trouble"] is None, 5, "the end of the trouble")


def test_it_waits_for_a_moment_without_a_cycle_but_not_for_ever(
    world: World, follower: VectorsFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cycle_runs = True
    looks = threading.Semaphore(0)

    def look() -> bool:
        looks.release()
        return world.cycle_runs

    monkeypatch.setattr(follower, "_cycle_runs", look)
    follower.start()
    for _ in range(3):
        assert looks.acquire(timeout=30)
    assert world.requests == []
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    wait_until(lambda: world.requests, 5, "the end of its patience")


def test_stop_ends_the_process(world: World, follower: VectorsFollower) -> None:
    def waits(_request: VectorsRequest) -> VectorStamp:
        assert world.ended.wait(60)
        raise VectorsTrouble("killed")

    world.does = waits
    follower.start()
    wait_until(lambda: world.requests, 5, "a process")
    follower.stop()
    assert world.ended.is_set()
    assert (vectors_now(load_settings()) or {})["trouble"] is None  # a stop is none


def test_status_says_what_is_published(world: World) -> None:
    settings = load_settings()
    found = vectors_now(settings)
    assert found is not None
    assert vectors_in_words(found, None) == f"none yet in {world.out}"
    world.publish(VectorsRequest(settings=settings.for_trainer(), version=3, champion=3, as_of="c3", out=world.out))
    note_trouble(settings, "no room")
    found = vectors_now(settings)
    assert found is not None
    assert vectors_in_words(found, 4).splitlines() == [
        "version 3, 9 users, since 2026-01-01 00:00:00 UTC; those of version 4 are not published yet",
        "not published: no room",
    ]
    note_trouble(settings, None)
    assert (vectors_now(settings) or {})["trouble"] is None


def test_a_file_cannot_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_VECTORS__OUT", "vectors.parquet")
    with pytest.raises(Exception, match=r"VECTORS__OUT.*names a file"):
        load_settings()
