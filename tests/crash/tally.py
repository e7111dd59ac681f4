"""What was done to a service, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from schemas.cycle import CycleKind
from schemas.fault_points import Point
from tests.crash.finding import Finding
from tests.crash.plan import Victim

Occasion = Literal["point", "random", "after_trainer", "point_missed"]
OCCASIONS: tuple[Occasion, ...] = ("point", "random", "after_trainer", "point_missed")
"""At a named point; at a random time; a consumer soon after its trainer had died alone; after waiting for a point."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One blow. Consumer and trainer in one blow are `both`."""

    occasion: Occasion
    victim: Victim
    point: Point | None = None
    cycle: CycleKind | None = None
    """Of the cycle that was running."""

    @property
    def waiting(self) -> bool:
        """Whether the trainer that was hit had nothing to do but wait for a cycle."""
        by_itself = self.point is not None and self.point.startswith("trainer.")
        return self.victim != "consumer" and self.cycle is None and not by_itself


@dataclass
class Tally:
    """All of it."""

    kills: list[Kill] = field(default_factory=list)
    missed: Counter[Point] = field(default_factory=Counter)
    """Points that were not reached in time, though they were armed."""
    starts: int = 0
    cycles: Counter[str] = field(default_factory=Counter)
    """By outcome."""
    kinds: Counter[str] = field(default_factory=Counter)
    """By kind."""
    versions: int = 0
    events: int = 0
    garbage: int = 0
    users: int = 0
    labels: int = 0
    seconds: float = 0.0
    compared: list[int] = field(default_factory=list)
    """For each time that everything was counted: how many versions had followed in the space that was compared."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def fired(self) -> Counter[Point]:
        """How often each point was the end of a process."""
        return Counter(kill.point for kill in self.kills if kill.occasion == "point" and kill.point)

    @property
    def fired_following(self) -> Counter[Point]:
        """The same, in cycles that follow the champion and so change a space that was there."""
        following = [kill for kill in self.kills if kill.cycle is not None and not kill.cycle.from_scratch]
        return Counter(kill.point for kill in following if kill.occasion == "point" and kill.point)

    def found(self, kind: str) -> int:
        """How many findings of a kind there are."""
        return sum(finding.kind == kind for finding in self.findings)
