"""A ledger with a past of two weeks, as a service leaves it: cycles of every outcome, figures, dead letters, gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from consumer.database.tables import samples
from consumer.dead_letters.letter import DeadLetter
from consumer.ledger.ledger import Ledger
from consumer.positions import Partition, Position
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.watching.samples import Sample
from tests.contract.ledgers import batch
from tests.unit.retrainer.cli.history.past import golden_result

TOPIC = Partition("listener_changes", 0)
HOUR, DAY = 3600.0, 86400.0
HELD_REASON = (
    "of 600 users read 100 % were refused, more than the limit of 10 % (RETRAINER_GUARD__REFUSED_SHARE); most often "
    "(600 times): genre_embedding has a number that is not finite, or too large to be scaled"
)
HELD_WAY_OUT = (
    "look at the refused rows and at what writes them; mended ones are read again; if the data are right: "
    "`retrainer train --accept REFUSED_SHARE`"
)
_GOOD = [Outcome.REGISTERED, Outcome.REGISTERED, Outcome.UNCHANGED, Outcome.REJECTED, Outcome.REGISTERED]
_PAST = [*_GOOD, Outcome.INCONCLUSIVE, *_GOOD, Outcome.FAILED, *_GOOD, Outcome.HELD, *_GOOD]
_WHY = {
    Outcome.REGISTERED: "accuracy did not regress: lower bound +0.0004 is above -0.01",
    Outcome.UNCHANGED: "training on 41 users found nothing better than the weights that are there",
    Outcome.REJECTED: "recall@10 of new users has lost more than 0.01 beyond doubt: 0.712 against 0.761",
    Outcome.INCONCLUSIVE: "351 held-out users cannot tell whether accuracy has lost more than 0.01; about 900 could",
    Outcome.FAILED: "the feature store does not answer: connection refused",
    Outcome.HELD: HELD_REASON,
}


@dataclass
class Filling:
    """Writes a past into a ledger, or goes on with one.

    Args:
        ledger: is written into.
        now: seconds since the epoch, when the past ends.
    """

    ledger: Ledger
    now: float

    def __post_init__(self) -> None:
        lease = self.ledger.leases.take("one", self.ledger.leases.current(), 0.0)
        assert lease is not None
        self.fence = lease.token
        self.ledger.intake.start_at({TOPIC: 0}, self.now - 15 * DAY)
        self.offset = self.ledger.intake.positions(TOPIC.topic)[TOPIC]
        versions = self.ledger.views.versions()
        self.version, self.done = len(versions), len(self.ledger.views.cycles())

    def past(self, cycles: int = 44, *, end: float | None = None) -> None:
        """A version from scratch, and then cycles of every outcome, spread over a fortnight."""
        end = self.now - 20 * 60 if end is None else end
        step = 14 * DAY / cycles
        for number in range(cycles):
            at = end - (cycles - 1 - number) * step
            outcome = Outcome.REGISTERED if number == 0 else _PAST[number % len(_PAST)]
            kind = CycleKind.BOOTSTRAP if number == 0 else CycleKind.FULL if number == 30 else CycleKind.INCREMENTAL
            self.cycle(outcome, at, kind)

    def cycle(
        self,
        outcome: Outcome,
        at: float,
        kind: CycleKind = CycleKind.INCREMENTAL,
        why: str | None = None,
        way_out: str = HELD_WAY_OUT,
    ) -> str:
        """A cycle that has ended at `at`; gives its id."""
        cycle_id = self.claim(at - 95, kind)
        self.done += 1
        self.version += outcome is Outcome.REGISTERED
        told = golden_result() | {
            "cycle_id": cycle_id,
            "outcome": outcome.value,
            "reason": why or _WHY[outcome],
            "version": self.version if outcome is Outcome.REGISTERED else None,
            "known_users": 2390 + self.done,
            "base_version": self._champion(),
            "guard": {"findings": [_refused_share(0.004, exceeded=False)], "asks_full": None},
        }
        told["gate"] = _gate(told["gate"], self.done, outcome)
        told["read"] |= {"accepted": 128 + self.done, "refused": {"user-8841": "taste is missing"}, "refused_total": 1}
        if outcome in {Outcome.HELD, Outcome.FAILED}:
            told |= dict.fromkeys(("gate", "fit", "pairs", "compatibility"))
        if outcome is Outcome.HELD:
            told["guard"] = {"findings": [_refused_share(1.0, exceeded=True)], "asks_full": None}
            told["way_out"] = way_out
        self.ledger.cycles.settle(CycleResult.model_validate(told), at, fence=self.fence)
        return cycle_id

    def claim(self, at: float, kind: CycleKind = CycleKind.INCREMENTAL, reason: str = "enough users changed") -> str:
        """A cycle that runs since `at`; gives its id."""
        self.pending(120 + self.done * 7 % 90, at - 60)
        reason = "no version yet" if kind is CycleKind.BOOTSTRAP else reason
        return self.ledger.cycles.claim(kind, reason, at, fence=self.fence).cycle_id

    def pending(self, users: int, at: float) -> None:
        """Changes of so many users."""
        changed = batch(TOPIC, self.offset, [f"user-{self.offset + one}" for one in range(users)], now=at)
        self.offset += users
        self.ledger.intake.record(changed)

    def dead_letter(self, at: float, error: str = "not JSON") -> None:
        """An event that cannot be understood."""
        broken = batch(TOPIC, self.offset, [], now=at)
        broken.progress[TOPIC] = (self.offset, self.offset + 1)
        broken.dead.append(DeadLetter(Position(*TOPIC, self.offset), at, None, b"{", (), "json", error))
        self.offset += 1
        self.ledger.intake.record(broken)

    def gap(self, at: float) -> None:
        """Events that the topic has lost."""
        letter = DeadLetter(Position(*TOPIC, self.offset), at, None, None, (), "gap", "the topic has lost them")
        self.ledger.intake.jump(TOPIC, self.offset, self.offset + 900, letter, at)
        self.offset += 900

    def samples(self, minutes: int, every: int = 1) -> None:
        """A figure of each `every` minutes: waves of a day, with cycles that take what is pending."""
        last = int(self.now // 60)
        rows = [
            {"minute": minute, "figures": _sample(minute, self.version).model_dump(mode="json")}
            for minute in range(last - minutes, last, every)
        ]
        with self.ledger.engine.begin() as connection:
            connection.execute(samples.insert(), rows)

    def _champion(self) -> int | None:
        return self.ledger.views.history().champion


def _refused_share(figure: float, *, exceeded: bool) -> dict[str, Any]:
    found = {"name": "refused_share", "figure": figure, "limit": 0.1, "of": 600, "exceeded": exceeded}
    return found | {"detail": "genre_embedding has a number that is not finite"}


def _gate(gate: dict[str, Any], number: int, outcome: Outcome) -> dict[str, Any]:
    """Figures as of a model that learns: they rise at first, and a refused challenger is worse than its champion."""
    champion = 0.86 + 0.07 * (1 - math.exp(-number / 14)) + 0.004 * math.sin(number * 2.3)
    challenger = champion + (0.003 if outcome is Outcome.REGISTERED else -0.024 if outcome is Outcome.REJECTED else 0)
    figures = {
        name: {"auc": auc, "accuracy": auc - 0.03, "recall_at_10": auc - 0.5}
        for name, auc in (("challenger", challenger), ("champion", champion))
    }
    verdict = {Outcome.REJECTED: "rejected", Outcome.INCONCLUSIVE: "inconclusive", Outcome.UNCHANGED: "unchanged"}
    comparison = {"figure": "accuracy", "against": "champion", "users": 351, "challenger": challenger - 0.03}
    comparison |= {
        "other": champion - 0.03,
        "difference": challenger - champion,
        "lower": challenger - champion - 0.004,
    }
    comparison |= {"certain": challenger - champion + 0.003, "margin": 0.01}
    comparison |= {"verdict": "worse" if outcome is Outcome.REJECTED else "fine"}
    found = {**gate, "outcome": verdict.get(outcome, "passed"), "comparisons": [comparison]}
    return found | {name: {**gate[name], **figures[name]} for name in figures}


def _sample(minute: int, champion: int) -> Sample:
    wave = 1 + math.sin(minute / 1440 * 2 * math.pi)
    since = minute % 47
    training = since < 3
    megabytes = 2**20
    return Sample(
        at=minute * 60.0,
        lag=0 if since > 8 else int(180 * wave * (9 - since)),
        pending_users=int(wave * 6 * since),
        pending_labels=0,
        oldest_pending_s=float(60 * since) if since else None,
        champion=champion or None,
        training=training,
        consumer_bytes=int(96 * megabytes + 3 * megabytes * math.sin(minute / 211)),
        trainer_bytes=int(820 * megabytes) if training else None,
        events=minute * 11,
    )
