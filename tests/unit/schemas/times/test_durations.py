"""Durations are read as people write them, and written so that they are read the same again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import Seconds, SomeSeconds
from schemas.times.durations import about, duration, seconds_of

lengths = st.floats(min_value=0, max_value=1e9) | st.integers(0, 10**9).map(float)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800.0),
        ("2h", 7200.0),
        ("1.5h", 5400.0),
        ("90s", 90.0),
        ("1d", 86_400.0),
        ("1h30m", 5400.0),
        (" 1h 30m ", 5400.0),
        ("1d2h3m4.5s", 93_784.5),
        ("0s", 0.0),
        ("0.1s", 0.1),
    ],
)
def test_a_duration_is_its_seconds(text: str, seconds: float) -> None:
    assert TypeAdapter(Seconds).validate_python(text) == seconds
    assert TypeAdapter(Seconds | None).validate_json(f'"{text}"') == seconds


@pytest.mark.parametrize("given", [1800, 1800.0, "1800", " 1800.0 ", "1.8e3"])
def test_plain_seconds_count_as_before(given: object) -> None:
    assert TypeAdapter(Seconds).validate_python(given) == 1800.0


@pytest.mark.parametrize(
    "text", ["", "soon", "m", "m30", "30m2h", "1h1h", "-30m", "1h-30m", "30 min", "30M", "1e3s", ".5h", "٣m x"]
)
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(ValidationError, match=r"90s, 30m, 1\.5h, 1h30m or 1d"):
        TypeAdapter(Seconds).validate_python(text)


@pytest.mark.parametrize(("text", "what"), [("0s", "greater than 0"), ("20000d", "less than or equal")])
def test_limits_hold_for_durations_too(text: str, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        TypeAdapter(SomeSeconds).validate_python(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-1"])
def test_what_is_no_number_of_seconds_is_refused_as_before(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Seconds).validate_python(text)


@given(lengths)
def test_what_is_written_is_read_as_the_same_number(seconds: float) -> None:
    assert seconds_of(duration(seconds)) == seconds


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_written_in_its_units(days: int, hours: int, minutes: int, seconds: int) -> None:
    written = duration(days * 86_400 + hours * 3_600 + minutes * 60 + seconds)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    assert written == ("".join(f"{count}{unit}" for count, unit in parts if count) or "0s")


@given(lengths)
def test_about_is_near(seconds: float) -> None:
    read = seconds_of(about(seconds))
    assert isinstance(read, float)
    assert abs(read - seconds) <= max(0.051, seconds / 24)


def test_about_has_two_units_at_most() -> None:
    assert [about(seconds) for seconds in (0.04, 3.14159, 59.9, 125.0, 18_190.0, 200_000.0, -90.0)] == [
        "0s",
        "3.1s",
        "1m",
        "2m5s",
        "5h3m",
        "2d8h",
        "-1m30s",
    ]


def test_the_schema_still_says_that_a_duration_is_a_number() -> None:
    assert TypeAdapter(Seconds).json_schema() == {"maximum": 1e9, "minimum": 0, "type": "number"}
