"""What an event of the log is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

Level = Literal["debug", "info", "warning", "error"]

EVERY_LINE: Mapping[str, str] = MappingProxyType(
    {
        "event": "the sentence below, which names the event",
        "level": "`debug`, `info`, `warning` or `error`",
        "timestamp": "when the line was written: UTC, ISO 8601",
        "exception": "the traceback, where there is one",
    }
)
"""The fields that a line of any event may have, with their meaning."""


class LogEvent(str):
    """One event. The event is its own sentence: `event` of a line has it, and a line's `event` equals it.

    Args:
        sentence: the text as logged.
        levels: the levels at which the event is logged, the usual one first.
        meaning: what has happened, in a sentence.
        fields: the meaning, and where there is one the unit, of each field that a line of the event may have.
    """

    levels: tuple[Level, ...]
    meaning: str
    fields: Mapping[str, str]

    def __new__(cls, sentence: str, levels: Level | tuple[Level, ...], meaning: str, /, **fields: str) -> Self:
        """See the class."""
        made = super().__new__(cls, sentence)
        made.levels = (levels,) if isinstance(levels, str) else levels
        made.meaning = meaning
        made.fields = MappingProxyType(fields)
        return made


REASON = "why, in words"
NEXT_TRY = "seconds until the next try"


def begins(sentence: str, meaning: str) -> LogEvent:
    """The event of a trouble that begins, repeated as a warning once a minute while the trouble lasts."""
    return LogEvent(
        sentence,
        ("error", "warning"),
        f"{meaning} A warning repeats this once a minute while the trouble lasts.",
        reason=REASON,
        since_s="seconds since the trouble began; in the repetitions only",
        failures="how many failures there have been; in the repetitions only",
    )


def ends(sentence: str, meaning: str) -> LogEvent:
    """The event of a trouble that is over."""
    return LogEvent(
        sentence,
        "info",
        meaning,
        after_s="seconds that the trouble lasted",
        failures="how many failures there were",
    )
