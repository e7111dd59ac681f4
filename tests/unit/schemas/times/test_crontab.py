"""A crontab line means what cron's manual says, in every field and combination."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import croniter
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.times.crontab import from_crontab

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
BOUNDS = [(0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, MONTHS), (0, 7, DAYS)]
TIMES = st.integers(0, 2**32)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def days(line: str, since: str, count: int) -> list[str]:
    """The days of the first ticks from `since` on."""
    crontab, moment, found = from_crontab(line), at(since) - 1, []
    for _ in range(count):
        moment = crontab.after(moment)
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%m-%d"))
    return found


@st.composite
def fields(draw: st.DrawFn, bounds: tuple[int, int, tuple[str, ...]]) -> str:
    """A field of one to three parts: values, ranges and steps, some by name."""
    least, most, words = bounds

    def value(number: int) -> str:
        named = 0 <= number - least < len(words) and draw(st.booleans())
        return words[number - least] if named else str(number)

    def part() -> str:
        step = f"/{draw(st.integers(1, most))}"
        kind = draw(st.sampled_from(["value", "range", "range with step", "star with step", "value with step"]))
        low, high = sorted([draw(st.integers(least, most)), draw(st.integers(least, most))])
        if kind == "star with step":
            return f"*{step}"
        if kind == "value with step":
            return f"{value(min(low, 6) if words == DAYS else low)}{step}"
        if kind == "value" or low == high:
            return value(low)
        return f"{value(low)}-{value(high)}{step if kind == 'range with step' else ''}"

    return "*" if draw(st.integers(0, 2)) == 0 else ",".join(part() for _ in range(draw(st.integers(1, 3))))


LINES = st.tuples(*(fields(bounds) for bounds in BOUNDS)).map(" ".join)


def meets(line: str, moment: datetime) -> bool:
    """The manual, read once more: whether a line names a minute."""
    minute, hour, day, month, weekday = line.lower().split()
    of_month, of_week = named(day, moment.day, 2), named(weekday, moment.isoweekday() % 7, 4)
    restricted = day[0] != "*" and weekday[0] != "*"
    return (
        named(minute, moment.minute, 0)
        and named(hour, moment.hour, 1)
        and named(month, moment.month, 3)
        and ((of_month or of_week) if restricted else (of_month and of_week))
    )


def named(field: str, value: int, which: int) -> bool:
    least, most, words = BOUNDS[which]
    numbers = {word: str(least + number) for number, word in enumerate(words)}
    for part in field.split(","):
        span, _, step = part.partition("/")
        ends = [int(numbers.get(end, end)) for end in span.split("-")] if span != "*" else [least, most]
        if len(ends) == 1:
            ends.append((6 if which == 4 else most) if step else ends[0])
        if which == 4 and span == "*":
            ends = [0, 6]
        reached = range(ends[0], ends[1] + 1, int(step or 1))
        if value in reached or (which == 4 and value == 0 and 7 in reached):
            return True
    return False


@given(LINES, TIMES)
@settings(max_examples=40, deadline=None)
def test_every_minute_of_a_day_is_a_tick_where_the_manual_says_so(line: str, moment: int) -> None:
    try:
        crontab = from_crontab(line)
    except ValueError as error:
        assert "never comes" in str(error)  # noqa: PT017  (a line may be such a one)
        return
    begin = datetime.fromtimestamp(moment - moment % 60, UTC)
    for minute in (begin + timedelta(minutes=7 * number) for number in range(100)):
        now = minute.timestamp()
        assert (crontab.latest(now) == now) == meets(line, minute)
        assert (crontab.after(now - 60) == now) == meets(line, minute)


def unlike(line: str) -> bool:
    """Whether croniter reads a line otherwise than the manual: it takes a list of all days for `*`."""
    _, _, day, _, weekday = line.lower().split()
    of_week = weekday != "*" and all(named(weekday, number, 4) for number in range(7))
    return of_week or (day != "*" and all(named(day, number, 2) for number in range(1, 32)))


@pytest.mark.full
@given(LINES, TIMES)
@settings(max_examples=3000, deadline=None)
@example("0 3 * * 7", 0)
@example("0 0 29 2 */2", 0)
@example("0 0 13 * fri", 0)
@example("* * 1,*/1 * 0,0,*/3", 0)
def test_croniter_reads_every_line_the_same(line: str, moment: int) -> None:
    if unlike(line):
        return
    options = {"implement_cron_bug": True, "max_years_between_matches": 400}  # the "bug" is the rule of the manual
    try:
        crontab = from_crontab(line)
    except ValueError:
        with pytest.raises(croniter.CroniterBadDateError):
            croniter.croniter(line, moment, **options).get_next(float)
        return
    assert crontab.after(moment) == croniter.croniter(line, moment, **options).get_next(float)
    assert crontab.latest(moment) == croniter.croniter(line, moment + 1, **options).get_prev(float)


@given(LINES, TIMES)
@settings(max_examples=200, deadline=None)
def test_between_two_ticks_there_is_none(line: str, moment: int) -> None:
    try:
        crontab = from_crontab(line)
    except ValueError:
        return
    before, after = crontab.latest(moment), crontab.after(moment)
    assert before <= moment < after
    assert crontab.after(before) == after
    assert crontab.latest(after) == after


@pytest.mark.parametrize(
    ("line", "met"),
    [
        ("0 3 * * 0", ["01-04", "01-11", "01-18"]),
        ("0 3 * * 7", ["01-04", "01-11", "01-18"]),
        ("0 3 * * 5-7", ["01-02", "01-03", "01-04", "01-09"]),
        ("0 3 * * sun-tue", ["01-04", "01-05", "01-06", "01-11"]),
        ("0 3 * * SAT,0", ["01-03", "01-04", "01-10"]),
        ("0 3 * * */2", ["01-01", "01-03", "01-04", "01-06"]),
        ("0 3 * * 1/3", ["01-01", "01-05", "01-08"]),
        ("0 3 13 * 5", ["01-02", "01-09", "01-13", "01-16"]),  # both are restricted: either is enough
        ("0 3 1,15 * mon", ["01-01", "01-05", "01-12", "01-15"]),
        ("0 3 */2 * mon", ["01-05", "01-19", "02-09"]),  # begins with `*`: both are needed
        ("0 3 1-7 * */7", ["01-04", "02-01", "03-01"]),
        ("0 3 29 2 *", ["02-29"]),
        ("0 3 31 * *", ["01-31", "03-31", "05-31"]),
        ("0 3 30 2 1", ["02-02", "02-09", "02-16"]),  # Mondays are enough
        ("0 0 1 jan-mar/2 *", ["01-01", "03-01", "01-01"]),
        ("@monthly", ["01-01", "02-01"]),
        ("@weekly", ["01-04", "01-11"]),
        ("@Yearly", ["01-01", "01-01"]),
        ("@hourly", ["01-01", "01-01"]),
    ],
)
def test_lines_whose_days_a_person_can_count(line: str, met: list[str]) -> None:
    assert days(line, "2026-01-01", len(met)) == met


def test_a_leap_day_that_is_a_monday_comes_once_in_28_years() -> None:
    crontab = from_crontab("0 0 29 2 */8")  # `*/8` of the week is Sunday
    first = crontab.after(at("2026-01-01"))
    assert first == at("2032-02-29")
    assert crontab.after(first) == at("2060-02-29")
    assert crontab.latest(at("2031-01-01")) == at("2004-02-29")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("soon", "five fields, not 1"),
        ("0 3 * *", "five fields, not 4"),
        ("0 0 3 * * 0", "five fields, not 6"),
        ("@reboot", "@reboot is none of @yearly"),
        ("@sometimes", "is none of"),
        ("61 3 * * 0", "'61' is no minute: that is 0 to 59"),
        ("0 24 * * 0", "'24' is no hour"),
        ("0 3 0 * 0", "'0' is no day of the month"),
        ("0 3 * 13 0", "'13' is no month"),
        ("0 3 * * 8", "'8' is no day of the week"),
        ("0 3 * * mon-", "'mon-' is no day of the week"),
        ("0 3 * * x", "'x' is no day of the week"),
        ("0 3 * mon *", "'mon' is no month"),
        ("0 3 * * 1/x", "'1/x'"),
        ("0 3 * * 1/0", "a step of nothing"),
        ("0 3 * * fri-mon", "ends before it begins"),
        ("50-10 3 * * *", "ends before it begins"),
        ("0 3 * * *-5", "is no day of the week"),
        ("0 3 , * *", "is no day of the month"),
        ("0 3 L * *", "is no day of the month"),
        ("0 3 ? * 1", "is no day of the month"),
        ("0 3 * * 1#2", "is no day of the week"),
        ("-5 3 * * *", "is no minute"),
        ("٣ 3 * * *", "is no minute"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 2,4,6,9,11 *", "never comes"),
        ("0 0 31 feb */2", "never comes"),
    ],
)
def test_what_is_no_line_or_never_comes_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_crontab(line)
