"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from retrainer.cli.moment import is_relative, moment, span

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-24T08:00", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("20261124", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T08:00+02:00", datetime(2026, 11, 24, 6, tzinfo=UTC)),
        ("2026-11-24T08:00Z", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("-2h", NOW - timedelta(hours=2)),
        ("2h ago", NOW - timedelta(hours=2)),
        ("1h30m ago", NOW - timedelta(minutes=90)),
        ("-1d 12h", NOW - timedelta(hours=36)),
        ("now", NOW),
    ],
)
def test_it_means(text: str, meant: datetime) -> None:
    assert moment(text, "--from", NOW) == meant


@settings(deadline=None)
@given(st.integers(315_532_800, 4_102_444_800))
def test_seconds_and_smaller_units_are_told_apart_by_their_size(seconds: int) -> None:
    when = datetime.fromtimestamp(seconds, UTC)
    for factor in (1, 1000, 1_000_000, 1_000_000_000):
        assert moment(str(seconds * factor), "--from") == when


@pytest.mark.parametrize(
    "text", ["", "yesterdayish", "-2x", "2h", "ago", "2026-13-01", "-99999999w", "1" * 30, "-0h", "20261124080000"]
)
def test_what_means_nothing_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"-0h|--from"):
        moment(text, "--from", NOW)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("3d", 259200), ("1w", 604800), ("1h30m", 5400), ("1.5h", 5400)],
)
def test_a_length_of_time_means(text: str, meant: int) -> None:
    assert span(text, "--last") == timedelta(seconds=meant)


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 hours", "0s", "99999999999w"])
def test_a_length_of_time_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--last"):
        span(text, "--last")


def test_what_depends_on_the_present_is_known() -> None:
    assert all(is_relative(text) for text in ("-2h", "2h ago", "now"))
    assert not any(is_relative(text) for text in ("2026-11-24", "1795911035"))
