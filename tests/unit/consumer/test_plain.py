"""Free text fit for a terminal: nothing in it steers, everything in it can be read."""

from __future__ import annotations

import logging
import sys
from io import StringIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from consumer.logs import configure
from consumer.plain import UNLESS_IT_HAS_IT, indented, one_line, plain
from consumer.settings import LogSettings
from tests.hostile import HOSTILE, steering

ANY_TEXT = st.text(st.characters())


@given(ANY_TEXT)
def test_nothing_steers_and_one_line_is_one(text: str) -> None:
    assert steering(plain(text)) == []
    assert steering(one_line(text)) == []
    assert len(one_line(text).splitlines()) <= 1
    assert "\t" not in one_line(text)
    assert plain(text).count("\n") == text.count("\n")
    assert one_line(plain(text)) == one_line(text)  # escaped twice is escaped once


@given(ANY_TEXT, st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8", "koi8-r"]))
def test_every_terminal_can_show_it(text: str, encoding: str) -> None:
    shown = plain(text).encode(encoding, UNLESS_IT_HAS_IT).decode(encoding)
    assert steering(shown) == []


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_known_to_steer_is_escaped(what: str) -> None:
    text = HOSTILE[what]
    assert one_line(text).isprintable()
    assert one_line(text) == text or "\\" in one_line(text)


def test_good_text_stays_as_it_is() -> None:
    for text in ("plain", "Grüße, 世界 😀", "a\\b", "", "x" * 10_000):
        assert one_line(text) == plain(text) == text
    assert one_line("a\r\nb\tc\x1b") == r"a\r\nb\tc\x1b"
    assert plain("a\r\nb\tc") == "a\\r\nb\tc"
    assert indented("a\nretrainer: b") == "a\n  retrainer: b"


def test_what_a_terminal_does_not_have_looks_like_it_or_is_escaped() -> None:
    shown = "✓ “é” → 10 – 20 … 世".encode("ascii", UNLESS_IT_HAS_IT)  # noqa: RUF001
    assert shown == rb'+ "\xe9" -> 10 - 20 ~ \u4e16'
    assert "é → 😀".encode("latin-1", UNLESS_IT_HAS_IT) == b"\xe9 -> \\U0001f600"


@pytest.mark.parametrize("what", HOSTILE)
def test_a_log_for_people_is_a_line_an_event_whatever_is_in_it(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, written = HOSTILE[what], StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    try:
        configure(LogSettings(format="console"))
        log = structlog.get_logger()
        log.info("%s", text, reason=text, many=[text, {text: text}], error=ValueError(text), number=1.5, none=None)
        logging.getLogger("library").warning("it says %s", text)
        assert len(written.getvalue().splitlines()) == 2
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("it broke")
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers, logging.getLogger().level = handlers, level
    assert steering(written.getvalue()) == []
    assert "Traceback" in written.getvalue()
