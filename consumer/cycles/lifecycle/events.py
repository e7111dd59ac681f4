"""What happens to a cycle: its events."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.cycle import CycleResult


@dataclass(frozen=True, slots=True)
class Claimed:
    """The ledger has claimed a new cycle."""


@dataclass(frozen=True, slots=True)
class ClaimUnanswered:
    """The ledger did not say whether the claim is committed."""


@dataclass(frozen=True, slots=True)
class ClaimFound:
    """The ledger has a running cycle."""

    failed: int
    """How many attempts of the cycle have failed."""
    result: CycleResult | None
    """What its last trainer left on disk, where no other instance ran the cycle since."""


@dataclass(frozen=True, slots=True)
class NothingClaimed:
    """The ledger has no running cycle."""


@dataclass(frozen=True, slots=True)
class TrainerStarted:
    """A trainer has the request."""


@dataclass(frozen=True, slots=True)
class TrainerAsked:
    """The trainer wants to register."""


@dataclass(frozen=True, slots=True)
class LeaseConfirmed:
    """The ledger has renewed our lease."""


@dataclass(frozen=True, slots=True)
class TrainerEnded:
    """The trainer process has ended; `reason` says why, should it have failed."""

    result: CycleResult | None
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptCounted:
    """The failed attempt is on record in the ledger."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of the cycle is on record in the ledger."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The lease is lost: another instance runs cycles, this one too."""


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The process is to stop in good order."""


Event = (
    Claimed
    | ClaimUnanswered
    | ClaimFound
    | NothingClaimed
    | TrainerStarted
    | TrainerAsked
    | LeaseConfirmed
    | TrainerEnded
    | AttemptCounted
    | Settled
    | Tick
    | Overtaken
    | StopAsked
)
