"""Some rows of a group, judged as a cycle would judge them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from retrainer.doctor.checks import Finding, failed, ok, warning

SAMPLE = 1000
"""Rows that are looked at, at most: in a group of another length all are wrong."""

_TOLD = 3


def in_words(count: int, what: str) -> str:
    """`1 user`, `2 users`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def judged(has: str, sound: int, refused: Iterable[str], keyless: int, todo: str) -> Finding:
    """What some rows of a group say of it.

    Args:
        has: what else was found of the group; it begins the line.
        sound: how many of the rows a cycle would take.
        refused: why it would not take the others, a reason for each.
        keyless: how many of them name nobody.
        todo: what to do where it would take none, or not all.
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
