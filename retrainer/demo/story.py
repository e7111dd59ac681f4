"""What has happened so far, folded from the service's log and the simulator's reports; draws nothing.

The log is the service's own, read from its pipe. A field that is missing or new is no error: a person watches this, and
the service must not have to keep still for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrainer.demo.waves import Committed
from schemas.cycle import CycleKind, Outcome, Step
from schemas.log_events import cycles, service

Record = Mapping[str, Any]
"""One line of the service's log."""


@dataclass(slots=True)
class StepView:
    """How far one step is: `done` of `total` where it can be counted."""

    state: str = "waiting"
    done: int | None = None
    total: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class CycleView:
    """One cycle, running or ended. `train` and `dev` are accuracies by epoch, `dev` an AUC where labels are learned."""

    cycle_id: str
    kind: str = ""
    reason: str = ""
    users: int = 0
    labels: int = 0
    base_version: int | None = None
    wave: int = 0
    steps: dict[Step, StepView] = field(default_factory=lambda: {step: StepView() for step in Step})
    train: list[float] = field(default_factory=list)
    dev: list[float] = field(default_factory=list)
    dev_name: str = ""
    end: Record | None = None

    def begin(self) -> None:
        """Nothing is done yet."""
        self.steps = {step: StepView() for step in Step}
        self.train, self.dev = [], []

    @property
    def outcome(self) -> str | None:
        """How it ended, or None while it runs."""
        return None if self.end is None else str(self.end.get("outcome"))

    @property
    def version(self) -> int | None:
        """The version it registered, if it did."""
        return None if self.end is None else self.end.get("version")

    @property
    def probe(self) -> Record:
        """What the champion said of the changes before they were learned; empty where it was not asked."""
        return self.steps[Step.PROBE].facts

    @property
    def share_done(self) -> float:
        """How much of it is done, between 0 and 1. Steps weigh the same, but the fit weighs as much as all."""
        weights = {step: len(Step) if step is Step.FIT else 1 for step in Step}
        return sum(weights[step] * _part(view) for step, view in self.steps.items()) / sum(weights.values())


def _part(view: StepView) -> float:
    if view.state == "done":
        return 1.0
    return min(1.0, view.done / view.total) if view.done and view.total else 0.0


class Story:
    """Everything a screen shows and a pacer needs to know.

    `events` were read since the service started; `pending` users and `pending_labels` wait for a cycle; `cycles` are in
    order of start.
    """

    def __init__(self) -> None:
        self.events = 0
        self.pending = 0
        self.pending_labels = 0
        self.dead = 0
        self.cycles: list[CycleView] = []
        self.commits: list[Committed] = []
        self._covered = self._covered_labels = 0  # by the cycles that started after the last commit and have ended

    @property
    def cycle(self) -> CycleView | None:
        """The cycle that runs, or None between two."""
        return self.cycles[-1] if self.cycles and self.cycles[-1].end is None else None

    @property
    def bootstrapped(self) -> bool:
        """Whether there is a first version."""
        return any(cycle.kind == CycleKind.BOOTSTRAP and cycle.outcome == Outcome.REGISTERED for cycle in self.cycles)

    @property
    def stuck(self) -> bool:
        """Whether a cycle has failed, or no first version was registered: no further wave would show more."""
        outcomes = [(cycle.kind, cycle.outcome) for cycle in self.cycles if cycle.end is not None]
        return any(
            outcome == Outcome.FAILED or (kind == CycleKind.BOOTSTRAP and outcome != Outcome.REGISTERED)
            for kind, outcome in outcomes
        )

    @property
    def succeeded(self) -> bool:
        """Whether there is a first version and every wave has ended in a cycle that says what became of it."""
        decided = {cycle.wave for cycle in self.cycles if cycle.end is not None}  # none failed, or it would be stuck
        return self.bootstrapped and not self.stuck and {commit.wave for commit in self.commits} <= decided | {0}

    @property
    def settled(self) -> bool:
        """Whether all that the last commit changed has been through a cycle that ended, and no cycle asked for is due.

        Counted by users and labels, not by events, which may be read twice. What an earlier refusal gave back rides
        along and can make this true a little early; then the rest joins the next wave.
        """
        if self.cycle is not None or not self.commits or self._awaits_full:
            return False
        last = self.commits[-1]
        if last.wave == 0:
            return self.bootstrapped
        users, labels = last.changed + last.new + last.deleted, last.follows + last.unfollows
        return self._covered >= users and self._covered_labels >= labels

    @property
    def _awaits_full(self) -> bool:
        """Whether a cycle has asked for a full retrain, which follows by itself, though not twice in a day."""
        asked = any(cycle.end is not None and cycle.end.get("asks_full") for cycle in self.cycles)
        return asked and not any(cycle.kind == CycleKind.FULL and cycle.end is not None for cycle in self.cycles)

    def committed(self, committed: Committed) -> None:
        """The simulator has committed and published a wave."""
        self.commits.append(committed)
        self._covered = self._covered_labels = 0

    def feed(self, record: Record) -> None:
        """The service has logged a line."""
        match record.get("event"):
            case service.CHANGES:
                self.events = int(record.get("events") or self.events)
                self.pending = int(record.get("pending") or 0)
                self.pending_labels = int(record.get("pending_labels") or 0)
                self.dead = int(record.get("dead") or 0)
            case cycles.CYCLE_STARTED:
                self._started(record)
            case cycles.CYCLE_STEP:
                self._step(record)
            case cycles.CYCLE_ENDED:
                self._ended(record)
            case _:
                pass

    def _started(self, record: Record) -> None:
        users, labels = int(record.get("users") or 0), int(record.get("labels") or 0)
        self.pending = max(0, self.pending - users)  # they are claimed now
        self.pending_labels = max(0, self.pending_labels - labels)
        self.cycles.append(
            CycleView(
                cycle_id=str(record.get("cycle_id")),
                kind=str(record.get("kind", "")),
                reason=str(record.get("reason", "")),
                users=users,
                labels=labels,
                base_version=record.get("base_version"),
                wave=self.commits[-1].wave if self.commits else 0,
            )
        )

    def _step(self, record: Record) -> None:
        cycle = self._cycle_of(record)
        name = record.get("step")
        if cycle is None or name not in set(Step):
            return
        if name == Step.READ and record.get("state") == "started":
            cycle.begin()  # a trainer that failed is tried again from the first step
        view = cycle.steps[Step(name)]
        view.state = str(record.get("state", view.state))
        view.done = record.get("done", view.done)
        view.total = record.get("total", view.total)
        facts = record.get("facts") or {}
        view.facts.update(facts)
        if name == Step.FIT and view.state == "running":
            cycle.train += [float(facts["train_accuracy"])] if facts.get("train_accuracy") is not None else []
            cycle.dev_name = "AUC " if facts.get("dev_auc") is not None else ""
            dev = facts.get("dev_auc") or facts.get("dev_accuracy")
            cycle.dev += [float(dev)] if dev is not None else []

    def _ended(self, record: Record) -> None:
        if (cycle := self._cycle_of(record)) is None:
            return
        cycle.end = dict(record)
        if cycle.outcome not in {Outcome.REGISTERED, Outcome.UNCHANGED}:
            self.pending += cycle.users  # given back
            self.pending_labels += cycle.labels
        if self.commits and cycle.wave == self.commits[-1].wave:
            self._covered += max(cycle.users, int(record.get("changed_users") or 0))
            self._covered_labels += max(cycle.labels, int(record.get("changed_labels") or 0))

    def _cycle_of(self, record: Record) -> CycleView | None:
        wanted = record.get("cycle_id")
        return next((cycle for cycle in reversed(self.cycles) if cycle.cycle_id == wanted), None)
