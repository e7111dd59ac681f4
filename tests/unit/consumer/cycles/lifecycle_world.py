"""A ledger, a registry, a lease and a trainer in a few lines each: the world in which a cycle's life is tried.

The driver here carries out the actions of `step` as the supervisor does. Faults are given by the caller: a call of the
ledger may fail before it did anything, or its answer may be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from consumer.cycles.lifecycle import actions, events, states
from consumer.cycles.lifecycle.step import Limits, Next
from schemas.cycle import CycleResult, Outcome

LIMITS = Limits(attempts=2, retry_wait=10.0, timeout=100.0)

Step = Callable[[Limits, states.State, events.Event, float], Next]


class Fault(Enum):
    """What becomes of a call of the ledger."""

    NONE = auto()
    REFUSED = auto()
    """Nothing is done."""
    UNANSWERED = auto()
    """It is done, and the answer is lost."""


class Away(Exception):  # noqa: N818
    """The ledger, or the disk, did not answer."""


class Lost(Exception):  # noqa: N818
    """The lease is another instance's."""


def result_of(outcome: Outcome, *, not_registered: bool = False) -> CycleResult:
    """A result as a trainer leaves it."""
    version = 1 if outcome is Outcome.REGISTERED else None
    return CycleResult(
        cycle_id="c",
        outcome=outcome,
        reason="so",
        base_version=None,
        version=version,
        fence=1,
        not_registered=not_registered,
    )


@dataclass
class Trainer:
    """A trainer process."""

    lookup_only: bool
    asking: bool = False
    asks_unheard: bool = False
    permitted: bool = False
    ended: bool = False


@dataclass
class World:
    """What is on record, what runs, and the state of the cycle in our process."""

    step: Step
    now: float = 0.0
    state: states.State = field(default_factory=states.Idle)
    # the ledger
    changes: int = 0
    pending: set[int] = field(default_factory=set)
    claimed: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    cycle: int | None = None
    cycles: int = 0
    attempts: int = 0
    ends: dict[int, Outcome] = field(default_factory=dict)
    # the rest
    versions: dict[int, int] = field(default_factory=dict)
    """How often each cycle has registered."""
    ours: bool = True
    """Whether the lease is ours."""
    trainer: Trainer | None = None
    left: CycleResult | None = None
    """The result on disk."""
    confirmed: bool = False
    """Whether the lease was confirmed since the trainer asked."""
    faults: list[Fault] = field(default_factory=list)
    """What becomes of the next calls; none are left when all go well."""

    # What the supervisor does

    def start(self) -> None:
        """Claim what is pending."""
        try:
            self._call(self._claim)
        except Away:
            self._happened(events.ClaimUnanswered())
            raise
        self._happened(events.Claimed())

    def resume(self) -> None:
        """Look for a running cycle."""
        self._call(lambda: None)
        if self.cycle is None:
            self._happened(events.NothingClaimed())
        else:
            self._happened(events.ClaimFound(self.attempts, self.left))

    def tick(self) -> None:
        """Hear the trainer, or let time pass."""
        if self.trainer is not None:
            if self.trainer.asks_unheard:
                self.trainer.asks_unheard, self.confirmed = False, False
                self._happened(events.TrainerAsked())
            if self.trainer.ended:
                self.trainer = None
                self._happened(events.TrainerEnded(self.left, "the trainer ended"))
                return
        self._happened(events.Tick())

    def overtaken(self) -> None:
        """The answer to Lost."""
        self._happened(events.Overtaken())

    def stop(self) -> None:
        """Stop in good order."""
        self._happened(events.StopAsked())

    def _happened(self, event: events.Event) -> None:
        self.state, todo = self.step(LIMITS, self.state, event, self.now)
        for action in todo:
            self._carry_out(action)

    def _carry_out(self, action: actions.Action) -> None:
        match action:
            case actions.FindClaim():
                self._call(lambda: None)
                self.resume()
            case actions.StartTrainer(lookup_only=lookup_only):
                assert self.trainer is None, "two trainers work on a cycle"
                self._call(lambda: self._start_trainer(lookup_only=lookup_only), Fault.UNANSWERED)
                self._happened(events.TrainerStarted())
            case actions.ConfirmLease():
                self._call(lambda: None)
                self.confirmed = True
                self._happened(events.LeaseConfirmed())
            case actions.Permit():
                assert self.confirmed, "a trainer is permitted to register, and nobody has confirmed the lease"
                assert self.trainer is not None
                self.trainer.permitted = True
            case actions.KillTrainer():
                self.trainer = None
            case actions.CountAttempt(number=number):
                self._call(lambda: self._count(number))
                self._happened(events.AttemptCounted())
            case actions.Settle(ending=ending):
                outcome = ending.outcome if isinstance(ending, CycleResult) else Outcome.FAILED
                self._call(lambda: self._end(outcome))
                self._happened(events.Settled())
                self.left = None
            case actions.EndTrainers():
                self.trainer = None
            case actions.Discard():
                self.left = None

    def _start_trainer(self, *, lookup_only: bool) -> None:
        self.trainer, self.left = Trainer(lookup_only), None

    def _call(self, what: Callable[[], Any], impossible: Fault | None = None) -> None:
        """Have the ledger do something, as long as the lease is ours."""
        fault = self.faults.pop(0) if self.faults else Fault.NONE
        if fault is Fault.REFUSED:
            raise Away
        if not self.ours:
            raise Lost
        what()
        if fault is Fault.UNANSWERED and impossible is not fault:
            raise Away

    # What the ledger does; each may be asked for twice

    def _claim(self) -> None:
        assert self.cycle is None, "a cycle is claimed while another runs"
        self.cycles += 1
        self.cycle, self.attempts = self.cycles, 0
        self.pending, self.claimed = set(), self.pending

    def _count(self, number: int) -> None:
        assert self.cycle is not None
        assert self.attempts in {number - 1, number}, "an attempt is counted that did not come next"
        self.attempts = number

    def _end(self, outcome: Outcome) -> None:
        if self.cycle is None:
            assert self.ends[self.cycles] is outcome, "a cycle ends twice, each time in another way"
            return
        self.ends[self.cycle] = outcome
        into = self.settled if outcome in {Outcome.REGISTERED, Outcome.UNCHANGED} else self.pending
        into |= self.claimed
        self.cycle, self.claimed = None, set()

    # What everybody else does

    def change(self) -> None:
        """A user changes."""
        self.pending.add(self.changes)
        self.changes += 1

    def trainer_asks(self) -> None:
        """It wants to register."""
        assert self.trainer is not None
        self.trainer.asking = self.trainer.asks_unheard = True

    def trainer_registers(self) -> None:
        """It has the permission, and uses it; it lives on and has not said so yet."""
        assert self.trainer is not None
        assert self.cycle is not None
        self.versions[self.cycle] = self.versions.get(self.cycle, 0) + 1

    def trainer_ends(self, outcome: Outcome | None) -> None:
        """It leaves a result, or none. A version that the registry has is what it finds first of all."""
        assert self.trainer is not None
        self.trainer.ended = True
        if outcome is None:
            return
        if self.registered:
            self.left = result_of(Outcome.REGISTERED)
        elif self.trainer.lookup_only:
            self.left = result_of(Outcome.FAILED, not_registered=outcome is not Outcome.FAILED)
        else:
            self.left = result_of(Outcome.FAILED if outcome is Outcome.REGISTERED else outcome)

    @property
    def registered(self) -> bool:
        """Whether the registry has a version of the cycle that runs."""
        return self.cycle in self.versions

    def killed(self) -> None:
        """Our process dies, and its trainer after it; the disk and the ledger stay."""
        self.trainer, self.state = None, states.Idle()

    def other_takes_over(self, outcome: Outcome | None) -> None:
        """Another instance takes the lease, and runs the cycle that there is to its end, or not to its end."""
        self.ours = False
        if self.cycle is None or outcome is None:
            return
        if not self.registered and outcome is Outcome.REGISTERED:
            self.versions[self.cycle] = 1
        self._end(Outcome.REGISTERED if self.registered else outcome)

    def check(self) -> None:
        """What holds at every moment.

        Raises:
            AssertionError: a promise is broken.
        """
        assert all(count == 1 for count in self.versions.values()), "a cycle has registered twice (P2)"
        for cycle, outcome in self.ends.items():
            has = cycle in self.versions
            assert (outcome is Outcome.REGISTERED) == has, f"cycle {cycle} ended {outcome}, registered: {has} (P2)"
        assert self.pending | self.claimed | self.settled == set(range(self.changes)), "a change is lost (P1)"
        kept = len(self.pending) + len(self.claimed) + len(self.settled)
        assert kept == self.changes, "a change is settled and given back (P1)"
        assert bool(self.claimed) <= (self.cycle is not None), "changes are claimed by no cycle (P1)"
        assert self.attempts < LIMITS.attempts
