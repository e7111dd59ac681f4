"""A worker without a process and without a model, and threads that ask a server by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import examples.serving.serving as example
from examples.serving.matching import manifest_of, together
from examples.serving.served import Place, Served
from examples.serving.serving import Serving
from examples.serving.vectors import published
from examples.serving.worker import Answer, NotLoadedError, WorkerDiedError
from stores.errors import StoreError
from stores.vectors.together import origin_of
from tests.waiting import wait_until


class FakeWorker:
    """It opens vectors as the real one does, and refuses to answer once it was retired."""

    refused: set[int] = set()
    alive: list[FakeWorker] = []

    def __init__(self, place: Place, version: int) -> None:
        self._held = 0
        self._lock = threading.Condition()
        if version in FakeWorker.refused:
            raise NotLoadedError("no such file")
        self.served = Served(version, version)
        if place.vectors is not None:
            try:
                vectors = published(place.vectors)
                self.served = together(origin_of(version, manifest_of(place, version)), vectors.origin, vectors.set)
            except StoreError as problem:
                raise NotLoadedError(str(problem)) from None
        FakeWorker.alive.append(self)

    def hold(self) -> None:
        with self._lock:
            self._held += 1

    def release(self) -> None:
        with self._lock:
            self._held -= 1
            self._lock.notify_all()

    def ask(self, user: str, _count: int) -> Answer:
        if self not in FakeWorker.alive:
            raise WorkerDiedError
        time.sleep(0.001)
        if self not in FakeWorker.alive:
            raise AssertionError("it was retired under a query")
        return Answer(self.served, None if user == "nobody" else [(f"of {self.served.version}", 1.0)])

    def retire(self) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._held == 0)
        self.close()

    def close(self) -> None:
        if self in FakeWorker.alive:
            FakeWorker.alive.remove(self)


@contextmanager
def served_from(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """A server that is quick to look and to try again."""
    monkeypatch.setattr(example, "Worker", FakeWorker)
    monkeypatch.setattr(example, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(example, "_LOOK_SECONDS", 0.01)
    FakeWorker.refused, FakeWorker.alive = set(), []
    opened = Serving(place)
    yield opened
    opened.close()


def takes(serving: Serving, version: int, vectors: int | None = None) -> None:
    def taken() -> bool:
        served = serving.served
        return served is not None and (served.version, served.vectors) == (version, vectors or version)

    wait_until(taken, 10, f"version {version} by vectors of {vectors or version}")


@contextmanager
def asking(serving: Serving, wrong: Callable[[Answer | None], bool]) -> Iterator[list[Served]]:
    """Threads that ask without pause; gives what answered."""
    over, seen, problems = threading.Event(), list[Served](), list[object]()

    def ask() -> None:
        while not over.is_set():
            answer = serving.similar("a", 1)
            if answer is None or wrong(answer):
                problems.append(answer)
            else:
                seen.append(answer.served)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert problems == []
