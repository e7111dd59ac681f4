"""Times that people write."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)"
_SPAN = re.compile(rf"(?:{_PART}\s*)+", re.ASCII)
_RELATIVE = re.compile(rf"-\s*(?P<before>(?:{_PART}\s*)+)|(?P<ago>(?:{_PART}\s*)+)ago", re.ASCII)
# Since 1973, in each unit. A date without dashes has eight digits, and one with the time of day fourteen.
_EPOCH = re.compile(r"(\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(\.\d+)?", re.ASCII)
_FORMS = "2026-11-24T08:00, 2h ago, -2h, or seconds or milliseconds since 1970"


def moment(text: str, option: str, now: datetime | None = None) -> datetime:
    """The time that `text`, given for `option`, means.

    ISO 8601, UTC where no zone is given; `-2h`, `2h ago` or `now`; or seconds, milliseconds, microseconds or
    nanoseconds since 1970, which their size distinguishes.

    Raises:
        typer.BadParameter: it means none.
    """
    text, now = text.strip(), now or datetime.now(UTC)
    try:
        if (found := _RELATIVE.fullmatch(text)) is not None:
            return now - span(found["before"] or found["ago"], option)
        if text == "now":
            return now
        if _EPOCH.fullmatch(text):
            return datetime.fromtimestamp(_seconds(float(text)), UTC)
        if text.isdigit() and len(text) != len("20261124"):  # Python takes any character between date and time
            raise ValueError
        iso = datetime.fromisoformat(text)
        return (iso if iso.tzinfo else iso.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(f"{option} {text!r} is not a time such as {_FORMS}") from None


def is_relative(text: str) -> bool:
    """Whether the time that is meant depends on when it is said."""
    return text.strip() == "now" or _RELATIVE.fullmatch(text.strip()) is not None


def span(text: str, option: str) -> timedelta:
    """The length of time that `text`, given for `option`, means: `90s`, `30m`, `2h`, `3d`, `1w`, `1h30m`.

    Raises:
        typer.BadParameter: it means none, or one that no calendar has room for.
    """
    text = text.strip()
    try:
        if _SPAN.fullmatch(text):
            parts = [timedelta(**{_UNITS[unit]: float(count)}) for count, unit in re.findall(_PART, text)]
            if total := sum(parts, timedelta()):
                return total
    except OverflowError:
        pass
    raise typer.BadParameter(f"{option} {text!r} is not a length of time such as 90s, 30m, 2h, 3d, 1w or 1h30m")


def _seconds(epoch: float) -> float:
    """Up to the year 5138 seconds are fewer than milliseconds since 1973 are, and so on."""
    for most, factor in ((1e11, 1), (1e14, 1e3), (1e17, 1e6)):
        if epoch < most:
            return epoch / factor
    return epoch / 1e9
