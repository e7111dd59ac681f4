"""How long something takes, as people write it: `30m`, `1h30m`, or plain seconds."""

from __future__ import annotations

import re
from decimal import Decimal

FORMS = "seconds, or a duration such as 90s, 30m, 1.5h, 1h30m or 1d"
"""What may be written, in words."""

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(r"\s*".join(rf"(?:{_NUMBER}\s*{unit})?" for unit in _UNITS))


def seconds_of(value: object) -> object:
    """A duration in seconds where a text is one; whatever else may be a number of seconds as it is.

    Raises:
        ValueError: a text is neither a duration nor a number; the message says what may be written.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text and (found := _DURATION.fullmatch(text)):
        counted = zip(_UNITS.values(), found.groups(), strict=True)
        return float(sum((Decimal(number) * unit for unit, number in counted if number), Decimal()))
    try:
        float(text)
    except ValueError:
        raise ValueError(f"should be {FORMS}") from None
    return value


def duration(seconds: float) -> str:
    """A number of seconds as a person writes it, exactly: `seconds_of` gives the same number again."""
    left = Decimal(repr(float(seconds)))
    parts = []
    for unit, size in _UNITS.items():
        count = left if unit == "s" else left // size
        left -= count * size
        if count:
            parts.append(f"{count:f}".removesuffix(".0") + unit)
    return "".join(parts) or "0s"


def about(seconds: float) -> str:
    """The same for people to read: no more than two units, and no part of a second from ten seconds on."""
    if seconds < 0:
        return f"-{about(-seconds)}"
    if seconds < 10:
        return f"{round(seconds, 1):g}s"
    sizes = list(_UNITS.values())
    largest = next(at for at, size in enumerate(sizes) if seconds >= size)
    step = sizes[min(largest + 1, len(sizes) - 1)]
    return duration(round(seconds / step) * step)
