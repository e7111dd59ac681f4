"""What is to be done for a cycle: the actions that the supervisor carries out, in the order in which they are given."""

from __future__ import annotations

from dataclasses import dataclass

from consumer.cycles.lifecycle.states import Ending


@dataclass(frozen=True, slots=True)
class Sweep:
    """Take away some of what settled cycles left in the ledger."""


@dataclass(frozen=True, slots=True)
class FindClaim:
    """Confirm the lease, and look for a running cycle in the ledger: ClaimFound or NothingClaimed follows."""


@dataclass(frozen=True, slots=True)
class StartTrainer:
    """Give the cycle to a trainer; `lookup_only` has it ask the registry and nothing else. TrainerStarted follows."""

    lookup_only: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmLease:
    """Renew the lease in the ledger: LeaseConfirmed follows."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Let the trainer register."""


@dataclass(frozen=True, slots=True)
class KillTrainer:
    """End the trainer at once."""


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """Remember, for people, why the attempt failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class CountAttempt:
    """Have the ledger count the failed attempt `number`, the first of which is 1: AttemptCounted follows."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Have the ledger end the cycle: Settled follows."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class EndTrainers:
    """End the trainer at work and the one that waits, with the grace that a stop allows or at once."""

    at_once: bool


@dataclass(frozen=True, slots=True)
class Discard:
    """Forget the cycle, and remove what is on disk of it."""


Action = (
    Sweep
    | FindClaim
    | StartTrainer
    | ConfirmLease
    | Permit
    | KillTrainer
    | NoteFailure
    | CountAttempt
    | Settle
    | EndTrainers
    | Discard
)
