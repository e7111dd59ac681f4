"""A routine works until it is stopped, as often as it is started, and what it waits for is given up."""

from __future__ import annotations

import threading

from consumer.routine import Routine


def test_it_works_until_it_is_stopped_and_again_after_that() -> None:
    begun, ended = threading.Semaphore(0), threading.Semaphore(0)

    def run(stopping: threading.Event) -> None:
        begun.release()
        if stopping.wait(60):
            ended.release()

    routine = Routine("test", run)
    routine.stop()  # never started
    for _ in range(2):
        routine.start()
        routine.start()  # a second start changes nothing
        assert begun.acquire(timeout=60)
        routine.stop()
        assert ended.acquire(timeout=60)
    assert not begun.acquire(blocking=False)


def test_what_it_is_about_to_wait_for_is_given_up_as_well() -> None:
    """The first call comes too early, as the thread has not begun to wait: only a later one ends it."""
    begun, given_up, calls = threading.Event(), threading.Event(), []

    def run(_stopping: threading.Event) -> None:
        begun.set()
        given_up.wait(60)

    def give_up() -> None:
        calls.append(1)
        if len(calls) == 2:
            given_up.set()

    routine = Routine("test", run, give_up)
    routine.start()
    assert begun.wait(60)
    routine.stop()
    assert given_up.is_set()
    assert len(calls) == 2
