"""Days of cycles, simulated: whatever gate and trainer answer, they cost only so much, and every change is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, cycle, islice, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.cycles.trigger import Start, TriggerState, Wait, decide, enough
from schemas.cycle import CycleKind
from schemas.policies import TriggerPolicy

POLICY = TriggerPolicy()
HOUR, DAY = 3600.0, 86400.0
SETTLING = {"registered", "unchanged"}
LOOK = 60.0  # seconds; a service looks more often


@dataclass(frozen=True, slots=True)
class Ran:
    """A cycle of the simulation."""

    started: float
    ended: float
    decision: Start
    outcome: str

    @property
    def costs_a_place(self) -> bool:
        return self.decision.kind.from_scratch and self.outcome not in {"failed", "held"}


@dataclass(slots=True)
class Days:
    """A service with a ledger in its head. A change of one more user comes every `every` seconds; cycles take `takes`
    seconds, three times as long where they fail, and end as `answers` says."""

    answers: Iterator[str]
    every: float
    takes: float = 60.0
    known: int = 100_000
    champion: bool = True
    drifted: bool = False
    due: bool = False
    fulls_fail: bool = False
    ran: list[Ran] = field(default_factory=list)
    tried: int = 0
    """How many of the changes that came a cycle has tried."""
    longest_wait: float = 0.0
    """Of a change, from its arrival to the first cycle that tried it."""

    def state(self) -> TriggerState:
        """What a ledger would tell of the cycles."""
        settled = next((n for n, ran in enumerate(reversed(self.ran)) if ran.outcome in SETTLING), len(self.ran))
        fruitless = self.ran[len(self.ran) - settled :]
        refused = [r for r in fruitless if r.decision.kind.from_scratch and r.outcome in {"rejected", "inconclusive"}]
        told = [ran.outcome for ran in reversed(self.ran) if ran.outcome != "failed"]
        fulls = [ran for ran in reversed(self.ran) if ran.decision.kind is CycleKind.FULL]
        return TriggerState(
            pending_users=0,
            known_users=self.known,
            oldest_change=None,
            newest_change=None,
            last_cycle_end=self.ran[-1].ended if self.ran else None,
            last_cycle_failed=bool(self.ran) and self.ran[-1].outcome == "failed",
            has_champion=self.champion,
            fruitless_in_a_row=len(fruitless),
            rejections_in_a_row=sum(ran.outcome == "rejected" for ran in fruitless),
            held_in_a_row=next((n for n, outcome in enumerate(told) if outcome != "held"), len(told)),
            refused_from_scratch=len(refused),
            last_refused_from_scratch=refused[-1].ended if refused else None,
            full_ends=tuple(islice((ran.ended for ran in reversed(self.ran) if ran.costs_a_place), 6)),
            drifted=self.drifted,
            full_retrain_due=self.due,
            failed_fulls=next((n for n, ran in enumerate(fulls) if ran.outcome != "failed"), len(fulls)),
            last_full_end=fulls[0].ended if fulls else None,
        )

    def pass_by(self, until: float) -> Days:
        """Live until then."""
        now, state, enough_since = 0.0, self.state(), None
        while now < until:
            came = int(now / self.every)
            if came > self.tried:
                oldest, newest = (self.tried + 1) * self.every, came * self.every
                seen = replace(state, pending_users=came - self.tried, oldest_change=oldest, newest_change=newest)
            else:
                seen = state
            enough_since = (now if enough_since is None else enough_since) if enough(POLICY, seen) else None
            decision = decide(POLICY, replace(seen, enough_since=enough_since), now)
            if isinstance(decision, Start):
                now = self._run(decision, now, came)
                state = self.state()
                continue
            assert isinstance(decision, Wait)
            again = max((came + 1) * self.every, now + LOOK)
            now = again if decision.until is None else min(again, max(decision.until, now + 0.5))
        return self

    def _run(self, decision: Start, now: float, came: int) -> float:
        fails = self.fulls_fail and decision.kind is CycleKind.FULL
        outcome = "failed" if fails else next(self.answers)
        end = now + (3 * self.takes if outcome == "failed" else self.takes)
        self.ran.append(Ran(now, end, decision, outcome))
        if outcome != "failed":
            if came > self.tried:
                self.longest_wait = max(self.longest_wait, now - (self.tried + 1) * self.every)
            self.tried = came
        self.champion = self.champion or outcome == "registered"
        return end

    def most(self, cycles: Sequence[Ran]) -> int:
        """The most of these that began in any 24 hours."""
        return max((sum(0 <= one.started - first.started < DAY for one in cycles) for first in cycles), default=0)


refusals = st.sampled_from(["rejected", "inconclusive", "held", "failed"])
answers = st.sampled_from(["registered", "unchanged", "rejected", "inconclusive", "held", "failed"])
rhythms = st.sampled_from([1.0, 10.0, 31.0, 60.0, 900.0, 4000.0])  # seconds from change to change
known = st.sampled_from([0, 20, 1000, 100_000])


@pytest.mark.parametrize("outcome", ["rejected", "inconclusive", "held", "failed"])
@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize("every", [1.0, 60.0])
def test_a_gate_or_a_trainer_that_never_lets_anything_pass_costs_little(
    outcome: str, champion: bool, every: float
) -> None:
    days = Days(repeat(outcome), every, champion=champion).pass_by(2 * DAY)
    assert days.most(days.ran) <= 30  # of which 24 are the changes' own hour
    assert days.most([ran for ran in days.ran if ran.costs_a_place]) <= 6
    if outcome in {"rejected", "inconclusive"} and not champion:
        assert days.most(days.ran) <= 5


@settings(max_examples=12, deadline=None)
@given(st.lists(refusals, min_size=1, max_size=8), rhythms, known, st.booleans(), st.booleans())
def test_whatever_mixture_of_refusals_comes_a_day_has_few_cycles(
    pattern: list[str], every: float, users: int, champion: bool, drifted: bool
) -> None:
    days = Days(cycle(pattern), every, known=users, champion=champion, drifted=drifted).pass_by(1.2 * DAY)
    assert days.most(days.ran) <= 32
    assert days.most([ran for ran in days.ran if ran.costs_a_place]) <= POLICY.max_full_per_day


@settings(max_examples=12, deadline=None)
@given(st.lists(answers, min_size=1, max_size=8), rhythms, known, st.booleans(), st.booleans())
def test_whatever_comes_of_cycles_those_from_scratch_that_nobody_asked_for_stay_few(
    pattern: list[str], every: float, users: int, champion: bool, drifted: bool
) -> None:
    days = Days(cycle(pattern), every, known=users, champion=champion, drifted=drifted).pass_by(1.2 * DAY)
    assert days.most([ran for ran in days.ran if ran.costs_a_place]) <= POLICY.max_full_per_day
    gaps = [after.started - before.ended for before, after in zip(days.ran, days.ran[1:], strict=False)]
    assert all(gap >= POLICY.min_interval for gap in gaps)


@settings(max_examples=12, deadline=None)
@given(st.lists(answers, max_size=12), rhythms, known)
def test_every_change_is_tried_in_time(prefix: list[str], every: float, users: int) -> None:
    days = Days(chain(prefix, repeat("registered")), every, known=users).pass_by(DAY)
    failures = 3 * days.takes * prefix.count("failed")
    longest = POLICY.max_staleness + POLICY.max_backoff * (1 + prefix.count("failed")) + days.takes + failures + LOOK
    assert days.longest_wait <= longest
    assert DAY - (days.tried + 1) * every <= longest + every


@pytest.mark.parametrize("every", [1.0, 30.0])
def test_where_nothing_is_refused_thresholds_are_met_though_it_is_never_quiet(every: float) -> None:
    days = Days(repeat("registered"), every, known=1000).pass_by(DAY)
    assert {ran.decision.reason.name for ran in days.ran} <= {"SHARE", "COUNT"}
    soonest = max(50 * every, POLICY.min_interval)
    assert days.longest_wait <= soonest + POLICY.max_quiet + days.takes + LOOK


def test_the_first_version_is_tried_at_once_and_again_soon_where_the_trainer_could_not_work() -> None:
    days = Days(chain(["failed"] * 3, repeat("registered")), 60.0, champion=False).pass_by(HOUR)
    assert days.ran[0].started == 0.0
    assert [ran.outcome for ran in days.ran[:4]] == ["failed", "failed", "failed", "registered"]
    gaps = [after.started - before.ended for before, after in zip(days.ran, days.ran[1:4], strict=False)]
    assert gaps == [300.0, 600.0, 1200.0]


@pytest.mark.parametrize(("due", "drifted"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("every", [10.0, 60.0, 900.0])
def test_a_full_retrain_that_always_fails_costs_little_and_keeps_no_change_from_being_learned(
    due: bool, drifted: bool, every: float
) -> None:
    """It fails for want of room, say, or of a bulk copy, which what changes does not need."""
    days = Days(repeat("registered"), every, known=1000, fulls_fail=True, due=due, drifted=drifted).pass_by(2 * DAY)
    fulls = [ran for ran in days.ran if ran.decision.kind is CycleKind.FULL]
    assert 1 <= days.most(fulls) <= 20
    assert days.longest_wait <= POLICY.max_staleness + POLICY.max_backoff
    assert 2 * DAY - (days.tried + 1) * every <= POLICY.max_staleness + POLICY.max_backoff
