"""One thing that has to stay in a long run, and the ways to compare what it was with what it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

MIB = 2**20
SHARE = 0.05
"""Growth from the second quarter to the last that is always allowed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to stay: what was found, in words and in figures, and whether it did."""

    name: str
    flat: bool
    told: str
    figures: Mapping[str, float] = field(default_factory=dict)


def compared(name: str, before: float, after: float, room: int) -> Check:
    """Bytes that may grow by a share or by `room`, whichever is more."""
    allowed = before + max(SHARE * before, room)
    return in_mib(name, before, after, allowed, flat=before > 0 and 0 < after <= allowed)


def in_mib(name: str, before: float, after: float, allowed: float, *, flat: bool) -> Check:
    """Bytes, told in MiB."""
    figures = {"before": before / MIB, "after": after / MIB, "at_most": allowed / MIB}
    told = "{before:.2f} MiB, then {after:.2f} MiB; at most {at_most:.2f} is flat".format(**figures)
    return Check(name, flat, told, {key: round(value, 3) for key, value in figures.items()})


def counted(name: str, before: float, after: float, room: int) -> Check:
    """A number of things that may differ by `room`."""
    figures = {"before": before, "after": after, "at_most": before + room}
    return Check(name, 0 < after <= before + room, f"{before:.0f}, then {after:.0f}", figures)


def middle(values: Iterable[int | None]) -> float:
    """The median of those that are there; 0 of none."""
    found = [value for value in values if value is not None]
    return float(median(found)) if found else 0.0
