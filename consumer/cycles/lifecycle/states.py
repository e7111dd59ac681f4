"""The states that a cycle passes through. Times are seconds of a clock that nobody sets."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.cycle import CycleResult


@dataclass(frozen=True, slots=True)
class Tries:
    """What earlier attempts leave behind."""

    failed: int = 0
    """Failed attempts that the ledger has counted."""
    may_have_registered: bool = False
    """Whether a trainer of this cycle was ever permitted to register, here or by an earlier holder of the lease."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The end of a cycle whose attempts have all failed."""

    reason: str


Ending = CycleResult | GivenUp


@dataclass(frozen=True, slots=True)
class Idle:
    """No cycle is under way."""


@dataclass(frozen=True, slots=True)
class ClaimUnknown:
    """The answer to the commit of a claim was lost: the ledger has the claim, or has it not."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """No trainer works on the cycle; the next attempt starts at `until`."""

    tries: Tries
    until: float


@dataclass(frozen=True, slots=True)
class Training:
    """A trainer works on the cycle since `since`."""

    tries: Tries
    since: float


@dataclass(frozen=True, slots=True)
class AwaitingPermit:
    """The trainer asks whether it may register, and waits; the lease has to be confirmed first."""

    tries: Tries
    since: float


@dataclass(frozen=True, slots=True)
class CountingFailure:
    """An attempt has failed, and the ledger has not counted it yet."""

    tries: Tries
    reason: str


@dataclass(frozen=True, slots=True)
class RegistryBackoff:
    """The last attempt has failed because of `reason`, and may have registered; the registry is asked at `until`."""

    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class VerifyingRegistry:
    """All attempts have failed; since `since` a trainer asks the registry whether it has a version of the cycle."""

    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Settling:
    """How the cycle ends is decided, and the ledger has not said yet that the end is on record."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class Stopped:
    """The process stops; a cycle that was under way stays claimed, and the next start resumes it."""


State = (
    Idle
    | ClaimUnknown
    | Backoff
    | Training
    | AwaitingPermit
    | CountingFailure
    | RegistryBackoff
    | VerifyingRegistry
    | Settling
    | Stopped
)
