"""The example server: the greatest promotion counts, alien vectors are refused, and swaps lose no query."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import examples.serving.serving as example
from examples.serving.events import Champion, champion_in, newest
from examples.serving.serving import Serving
from examples.serving.vectors import ApartError, Vectors, check_together
from examples.serving.web import web_server
from examples.serving.worker import Answer, NotLoadedError, Place, WorkerDiedError
from tests.waiting import wait_until

PLACE = Place(Path("registry"), Path("store.db"))


def event(champion: int | None, promotion: int, model: str = "m", kind: str = "retrainer.promoted") -> bytes:
    data = {"champion": champion, "promotion": promotion, "model_name": model}
    return json.dumps({"specversion": "1.0", "type": kind, "data": data}).encode()


@given(st.lists(st.integers(1, 30), min_size=1), st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_greatest_promotion_counts_whatever_comes_twice_late_or_not_at_all(
    versions: list[int], chance: Any, times: int
) -> None:
    """A rollback gives an earlier version again, by a greater promotion."""
    told = [event(version, number) for number, version in enumerate(versions, 1)] * times
    chance.shuffle(told)
    assert newest(None, told, "m") == Champion(versions[-1], len(versions))
    half = newest(None, told[::2], "m")
    assert newest(half, told[1::2], "m") == Champion(versions[-1], len(versions))


def test_events_that_promote_nothing_name_the_champion_too() -> None:
    assert champion_in(event(4, 9, kind="retrainer.refused"), "m") == Champion(4, 9)
    assert champion_in(event(None, 0, kind="retrainer.held"), "m") is None


@pytest.mark.parametrize("record", [b"", b"{}", b"[1]", b'"x"', b"null", event(1, 1, "other"), event(1, 1, kind="x.y")])
def test_what_is_no_event_of_the_model_is_passed_over(record: bytes) -> None:
    assert newest(Champion(1, 1), [record], "m") == Champion(1, 1)


def test_vectors_of_another_version_are_refused_unless_they_are_compatible() -> None:
    vectors = Vectors(3, ["a"], np.ones((1, 1), np.float32))
    check_together(3, None, vectors)
    check_together(4, 3, vectors)
    for version, compatible in ((4, None), (4, 2), (2, 1)):
        with pytest.raises(ApartError):
            check_together(version, compatible, vectors)


def test_the_nearest_come_first() -> None:
    matrix = np.eye(4, dtype=np.float32)
    vectors = Vectors(1, ["a", "b", "c", "d"], matrix)
    query = np.array([0.1, 0.9, 0.3, 0.0], np.float32)
    assert [user for user, _ in vectors.nearest(query, 3)] == ["b", "c", "a"]
    assert len(vectors.nearest(query, 9)) == 4


class FakeWorker:
    """A worker without a process: it takes a while to load, and refuses to answer once it was retired."""

    refused: set[int] = set()
    alive: set[int] = set()

    def __init__(self, _place: Place, version: int) -> None:
        self.version = version
        self._held = 0
        self._lock = threading.Condition()
        if version in FakeWorker.refused:
            raise NotLoadedError("no such file")
        FakeWorker.alive.add(version)

    def hold(self) -> None:
        with self._lock:
            self._held += 1

    def release(self) -> None:
        with self._lock:
            self._held -= 1
            self._lock.notify_all()

    def ask(self, user: str, _count: int) -> Answer:
        if self.version not in FakeWorker.alive:
            raise WorkerDiedError
        time.sleep(0.001)
        if self.version not in FakeWorker.alive:
            raise AssertionError("it was retired under a query")
        return Answer(self.version, None if user == "nobody" else [(f"of {self.version}", 1.0)])

    def retire(self) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._held == 0)
        self.close()

    def close(self) -> None:
        FakeWorker.alive.discard(self.version)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    monkeypatch.setattr(example, "Worker", FakeWorker)
    monkeypatch.setattr(example, "_RETRY_SECONDS", 0.01)
    FakeWorker.refused, FakeWorker.alive = set(), set()
    opened = Serving(PLACE)
    yield opened
    opened.close()


def takes(serving: Serving, version: int) -> None:
    wait_until(lambda: serving.version == version, 10, f"version {version}")


@contextmanager
def asking(serving: Serving, wrong: Callable[[Answer | None], bool]) -> Iterator[list[int]]:
    """Threads that ask without pause; gives the versions that answered."""
    over, seen, problems = threading.Event(), list[int](), list[object]()

    def ask() -> None:
        while not over.is_set():
            answer = serving.similar("a", 1)
            if answer is None or wrong(answer):
                problems.append(answer)
            else:
                seen.append(answer.version)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield seen
    over.set()
    for thread in threads:
        thread.join()
    assert problems == []


def test_no_query_is_lost_or_mixed_while_versions_are_swapped(serving: Serving) -> None:
    assert serving.similar("a", 1) is None
    serving.serve(Champion(1, 1))
    takes(serving, 1)
    with asking(serving, lambda answer: answer is None or answer.similar != [(f"of {answer.version}", 1.0)]) as seen:
        for number in range(2, 40):
            serving.serve(Champion(number, number))
            takes(serving, number)
    assert len(set(seen)) > 10
    assert FakeWorker.alive == {39}


def test_old_and_repeated_promotions_change_nothing(serving: Serving) -> None:
    serving.serve(Champion(7, 5))
    takes(serving, 7)
    for late in (Champion(6, 4), Champion(7, 5), Champion(3, 1)):
        serving.serve(late)
    serving.serve(Champion(2, 6))  # a rollback
    takes(serving, 2)
    assert FakeWorker.alive == {2}


def test_a_version_that_does_not_load_leaves_the_old_one_and_is_tried_again(serving: Serving) -> None:
    serving.serve(Champion(1, 1))
    takes(serving, 1)
    FakeWorker.refused = {2}
    serving.serve(Champion(2, 2))
    answer = serving.similar("a", 1)
    assert answer is not None
    assert answer.version == 1
    FakeWorker.refused = set()
    takes(serving, 2)


def test_a_worker_that_was_killed_is_started_again(serving: Serving) -> None:
    serving.serve(Champion(1, 1))
    takes(serving, 1)
    FakeWorker.alive.clear()
    assert serving.similar("a", 1) is None
    takes(serving, 1)
    assert serving.similar("a", 1) is not None


def test_http_names_the_version_and_tells_errors_apart(serving: Serving) -> None:
    web = web_server(serving, "127.0.0.1", 0)
    threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()

    def get(path: str) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web.server_address[1]}{path}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    assert get("/health") == (503, {"version": None})
    assert get("/similar?user=a")[0] == 503
    serving.serve(Champion(3, 1))
    takes(serving, 3)
    assert get("/health") == (200, {"version": 3})
    similar = [{"user": "of 3", "similarity": 1.0}]
    assert get("/similar?user=a&count=1") == (200, {"version": 3, "user": "a", "similar": similar})
    assert get("/similar?user=nobody")[0] == 404
    assert get("/similar")[0] == get("/similar?user=a&count=-1")[0] == get("/")[0] == 400
    web.shutdown()
    web.server_close()
