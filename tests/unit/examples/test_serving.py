"""The example server: the greatest promotion counts, and swaps lose no query."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.serving.events import Champion, champion_in, newest
from examples.serving.served import Place
from examples.serving.serving import Serving
from examples.serving.vectors import Vectors
from examples.serving.web import web_server
from schemas.jobs.vectors import Origin
from tests.unit.examples.fake_worker import FakeWorker, asking, served_from, takes

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


def test_the_nearest_come_first() -> None:
    matrix = np.eye(4, dtype=np.float32)
    vectors = Vectors(Origin(model_name="m", version=1, towers=1), ["a", "b", "c", "d"], matrix)
    query = np.array([0.1, 0.9, 0.3, 0.0], np.float32)
    assert [user for user, _ in vectors.nearest(query, 3)] == ["b", "c", "a"]
    assert len(vectors.nearest(query, 9)) == 4


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    with served_from(PLACE, monkeypatch) as opened:
        yield opened


@pytest.mark.full
def test_no_query_is_lost_or_mixed_while_versions_are_swapped(serving: Serving) -> None:
    assert serving.similar("a", 1) is None
    serving.serve(Champion(1, 1))
    takes(serving, 1)
    with asking(
        serving, lambda answer: answer is None or answer.similar != [(f"of {answer.served.version}", 1.0)]
    ) as seen:
        for number in range(2, 40):
            serving.serve(Champion(number, number))
            takes(serving, number)
    assert len(set(seen)) > 10
    assert [worker.served.version for worker in FakeWorker.alive] == [39]


def test_old_and_repeated_promotions_change_nothing(serving: Serving) -> None:
    serving.serve(Champion(7, 5))
    takes(serving, 7)
    for late in (Champion(6, 4), Champion(7, 5), Champion(3, 1)):
        serving.serve(late)
    serving.serve(Champion(2, 6))  # a rollback
    takes(serving, 2)
    assert [worker.served.version for worker in FakeWorker.alive] == [2]


def test_a_version_that_does_not_load_leaves_the_old_one_and_is_tried_again(serving: Serving) -> None:
    serving.serve(Champion(1, 1))
    takes(serving, 1)
    FakeWorker.refused = {2}
    serving.serve(Champion(2, 2))
    answer = serving.similar("a", 1)
    assert answer is not None
    assert answer.served.version == 1
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

    assert get("/health") == (503, {"version": None, "vectors": None, "waiting": None})
    assert get("/similar?user=a")[0] == 503
    serving.serve(Champion(3, 1))
    takes(serving, 3)
    assert get("/health") == (200, {"version": 3, "vectors": 3, "waiting": None})
    similar = [{"user": "of 3", "similarity": 1.0}]
    assert get("/similar?user=a&count=1") == (200, {"version": 3, "vectors": 3, "user": "a", "similar": similar})
    assert get("/similar?user=nobody")[0] == 404
    assert get("/similar")[0] == get("/similar?user=a&count=-1")[0] == get("/")[0] == 400
    web.shutdown()
    web.server_close()
