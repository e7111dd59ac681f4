"""Some rows of a group, checked as a cycle would check them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from retrainer.doctor.checks import Finding, failed, ok, warning

SAMPLE = 1000
"""Rows that are checked at most: in a group of another length all rows are wrong."""

_TOLD = 3


def in_words(count: int, what: str) -> str:
    """`1 user`, `2 users`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def judged(has: str, sound: int, refused: Iterable[str], keyless: int, todo: str) -> Finding:
    """The finding on some rows of a group.

    Args:
        has: the beginning of the line: what else is known of the group.
        sound: number of rows that a cycle would accept.
        refused: the reason for each other row.
        keyless: number of rows that name nobody.
        todo: what to do where not all rows are sound.
    """
    reasons = Counter(refused)
    if keyless:
        reasons["the key names nobody"] += keyless
    seen = sound + reasons.total()
    if not reasons:
        return ok(has)
    most = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(_TOLD))
    more = "" if len(reasons) <= _TOLD else f", and {len(reasons) - _TOLD} more reasons"
    if not sound:
        return failed(f"{has}; a cycle would refuse every one of {seen:,} rows: {most}{more}", todo)
    return warning(f"{has}; a cycle would refuse {reasons.total():,} of {seen:,} rows: {most}{more}", todo)
