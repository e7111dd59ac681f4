"""A log in JSON is JSON on every line, whoever wrote it."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from consumer.logs import configure, writes_json
from consumer.settings import LogSettings
from schemas.log_events.cycles import CYCLE_STEP
from schemas.log_events.service import ENDED_BY_AN_ERROR, THREAD_ENDED_BY_AN_ERROR
from tests.hostile import HOSTILE

log = structlog.get_logger()

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """The lines so far of a log in JSON, each read by a strict parser."""
    root, ours = logging.getLogger(), logging.getLogger("consumer")
    before = root.handlers, root.level, ours.level, sys.excepthook, threading.excepthook
    written = StringIO()
    monkeypatch.setattr(sys, "stderr", written)

    def no_json(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    with warnings.catch_warnings():
        logging.captureWarnings(capture=False)  # where a test before has left it on, turning it on does nothing
        configure(LogSettings(format="json"))
        warnings.simplefilter("always")
        yield lambda: [json.loads(line, parse_constant=no_json) for line in written.getvalue().splitlines()]
        logging.captureWarnings(capture=False)
    root.handlers, root.level, ours.level, sys.excepthook, threading.excepthook = before
    structlog.reset_defaults()


def test_numbers_that_are_not_finite_are_texts(lines: Lines) -> None:
    log.info(CYCLE_STEP, facts={"loss": float("nan"), "of": [float("inf"), 1.5]}, done=-float("inf"))
    (line,) = lines()
    assert (line["facts"], line["done"]) == ({"loss": "nan", "of": ["inf", 1.5]}, "-inf")


def test_what_somebody_else_wrote_stays_in_its_line(lines: Lines) -> None:
    for text in HOSTILE.values():
        log.info(CYCLE_STEP, step=text)
        logging.getLogger("a.library").warning("%s", text)
    assert len(lines()) == 2 * len(HOSTILE)


def test_what_ends_a_thread_or_the_process_is_one_line(lines: Lines) -> None:
    def fail() -> None:
        raise ValueError("out of\nreach")

    thread = threading.Thread(target=fail, name="followed")
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    of_thread, of_process = lines()
    assert (of_thread["event"], of_thread["thread"]) == (THREAD_ENDED_BY_AN_ERROR, "followed")
    assert of_process["event"] == ENDED_BY_AN_ERROR
    for line in (of_thread, of_process):
        assert "ValueError: out of\nreach" in line["exception"]
        assert "in fail" in line["exception"]


def test_a_process_knows_whether_it_writes_json(lines: Lines) -> None:
    assert writes_json()
    configure(LogSettings(format="console"))
    assert not writes_json()
