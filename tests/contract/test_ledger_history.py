"""Whatever happens in whatever order, what the ledger says is what a plain model of it says."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from consumer.changes.kinds import KINDS
from consumer.changes.portions import waiting
from consumer.database.tables import identity, metadata
from consumer.errors import LeaseLost, OffsetConflict
from consumer.ledger.intake import store_batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Partition
from schemas.cycle import CycleKind, CycleResult, LabelReport, Outcome, ReadReport
from schemas.labels import PairKey, pair_of, pair_text
from schemas.refused import LABEL, USER
from tests.contract.ledgers import P0, P1, batch, begin, ended, passed_over, take

WHO: list[str | PairKey] = [*"abcdef", ("a", "b"), ("b", "a"), ("c", "d"), ("e", "\u2028")]
"""Users, and pairs of them who have a label."""


@dataclass
class _Model:
    """What the ledger should hold: which users and labels are pending or claimed, and how far each version learned."""

    next_offset: dict[Partition, int] = field(default_factory=lambda: {P0: 0, P1: 0})
    settled: dict[Partition, int] = field(default_factory=lambda: {P0: 0, P1: 0})
    passed_over: dict[Partition, set[int]] = field(default_factory=lambda: {P0: set(), P1: set()})
    pending: set[str | PairKey] = field(default_factory=set)
    claimed: set[str | PairKey] = field(default_factory=set)
    claimed_to: dict[Partition, int] = field(default_factory=dict)
    unchanged: Counter[type] = field(default_factory=Counter)
    """How many users (text) and how many labels (pairs)."""
    refused: set[str | PairKey] = field(default_factory=set)
    """Whose row was unfit for use when it was last read, and no version has learned it since."""
    version: int = 0


class LedgerHistory(RuleBasedStateMachine):
    """P1 over random histories: users and labels leave the ledger only when a champion answers for them."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        begin(self.ledger)
        self.fence = take(self.ledger)
        self.model = _Model()
        self.cycle_id: str | None = None
        self.now = 0.0

    @rule(
        partition=st.sampled_from([P0, P1]),
        changed=st.lists(st.sampled_from(WHO), min_size=1, max_size=5),
        behind=st.integers(0, 9),
    )
    def events_arrive(self, partition: Partition, changed: list[str | PairKey], behind: int) -> None:
        """Not always later than the ones before: clocks are set back."""
        self.ledger.intake.record(batch(partition, self.model.next_offset[partition], changed, self.now - behind))
        self.model.next_offset[partition] += len(changed)
        self.model.pending |= set(changed)

    @rule(partition=st.sampled_from([P0, P1]), behind=st.integers(1, 3))
    def a_stale_batch_is_refused(self, partition: Partition, behind: int) -> None:
        with pytest.raises(OffsetConflict):
            self.ledger.intake.record(batch(partition, self.model.next_offset[partition] + behind, ["z"], self.now))

    @rule(partition=st.sampled_from([P0, P1]), lost=st.integers(1, 3))
    def offsets_are_passed_over(self, partition: Partition, lost: int) -> None:
        start = self.model.next_offset[partition]
        passed_over(self.ledger, partition, start, start + lost, self.now)
        self.model.next_offset[partition] += lost
        self.model.passed_over[partition] |= set(range(start, start + lost))

    @rule()
    def another_takes_the_lease(self) -> None:
        asleep, self.fence = self.fence, take(self.ledger)
        with pytest.raises(LeaseLost):
            self.ledger.cycles.claim(CycleKind.FULL, "asleep", self.now, fence=asleep)
        if self.cycle_id is not None:
            with pytest.raises(LeaseLost):
                self.ledger.cycles.attempt(self.cycle_id, 1, fence=asleep)
            with pytest.raises(LeaseLost):
                self.ledger.cycles.settle(ended(self.cycle_id, Outcome.REJECTED), self.now, fence=asleep)

    @precondition(lambda self: self.cycle_id is None)
    @rule(kind=st.sampled_from(CycleKind))
    def a_cycle_starts(self, kind: CycleKind) -> None:
        self.now += 1
        claim = self.ledger.cycles.claim(kind, "in turn", self.now, fence=self.fence)
        self.cycle_id = claim.cycle_id
        assert {*claim.users, *claim.labels} == self.model.pending
        expected = {
            partition.number: (self.model.settled[partition], self.model.next_offset[partition])
            for partition in (P0, P1)
            if self.model.settled[partition] < self.model.next_offset[partition]
        }
        assert claim.lineage.offsets == ({"t": expected} if expected else {})
        assert claim.lineage.changed_users == len(claim.users)
        assert claim.lineage.changed_labels == len(claim.labels)
        assert claim.lineage.unchanged_users == self.model.unchanged[str]
        assert claim.lineage.unchanged_labels == self.model.unchanged[tuple]
        for number, (start, end) in expected.items():
            gaps_named = claim.lineage.gaps.get("t", {}).get(number, ())
            inside = self.model.passed_over[Partition("t", number)] & set(range(start, end))
            assert {offset for gap in gaps_named for offset in range(*gap)} == inside
        self.model.claimed, self.model.pending = self.model.pending, set()
        self.model.claimed_to = dict(self.model.next_offset)

    @precondition(lambda self: self.cycle_id is not None)
    @rule(outcome=st.sampled_from(Outcome), bad=st.sets(st.sampled_from(WHO), max_size=4), whole=st.booleans())
    def the_cycle_ends(self, outcome: Outcome, bad: set[str | PairKey], whole: bool) -> None:
        assert self.cycle_id is not None
        bad = bad if whole else bad & self.model.claimed
        registered = outcome is Outcome.REGISTERED
        unchanged = outcome is Outcome.UNCHANGED and self.model.version > 0
        version = self.model.version + 1 if registered else None
        result = _refusing(ended(self.cycle_id, outcome, version), bad, whole=whole)
        settled = self.ledger.cycles.settle(result, self.now, fence=self.fence)
        assert settled is (registered or unchanged)
        if settled:
            self.model.refused = set() if whole else self.model.refused - self.model.claimed
        self.model.refused |= bad
        self.cycle_id = None
        if registered:
            self.model.version += 1
            self.model.settled = self.model.claimed_to
            self.model.unchanged.clear()
        elif unchanged:
            self.model.unchanged.update(map(type, self.model.claimed))
        else:
            self.model.pending |= self.model.claimed
        self.model.claimed = set()

    @rule(missing=st.integers(1, 9))
    def a_transaction_breaks_off(self, missing: int) -> None:
        """What was counted goes with what was stored."""
        new = batch(P0, self.model.next_offset[P0], [f"gone-{n}" for n in range(missing)], self.now)
        with self.ledger.engine.connect() as connection:
            store_batch(connection, new)
            connection.rollback()

    @rule()
    def what_is_settled_is_swept(self) -> None:
        self.ledger.cycles.sweep(self.now)

    @invariant()
    def what_is_counted_is_what_is_there(self) -> None:
        assert self.ledger.views.miscounted() == []
        backlog = self.ledger.views.backlog()
        assert backlog.users + backlog.labels == len(self.model.pending)

    @invariant()
    def nobody_is_lost(self) -> None:
        with self.ledger.engine.begin() as connection:
            users, labels = (connection.execute(waiting(kind, kind.key)).all() for kind in KINDS)
        rows = [*users, *((pair_of(pair), cycle_id) for pair, cycle_id in labels)]
        assert {who for who, cycle_id in rows if not cycle_id} == self.model.pending
        assert {who for who, cycle_id in rows if cycle_id} == self.model.claimed
        assert self.ledger.intake.positions("t") == self.model.next_offset

    @invariant()
    def nobody_who_was_refused_is_forgotten(self) -> None:
        find = self.ledger.refusals.find
        assert {one.key for one in find(USER)} | {pair_of(one.key) for one in find(LABEL)} == self.model.refused


def _refusing(result: CycleResult, bad: set[str | PairKey], *, whole: bool) -> CycleResult:
    users = {who: "unfit" for who in bad if isinstance(who, str)}
    labels = {pair_text(who): "unfit" for who in bad if not isinstance(who, str)}
    told = {
        "read": ReadReport(accepted=1, deleted=0, refused=users, refused_total=len(users), whole=whole),
        "labels": LabelReport(accepted=1, deleted=0, refused=labels, refused_total=len(labels), whole=whole),
    }
    return result.model_copy(update=told)


@pytest.mark.parametrize(
    ("engine", "examples"), [("sqlite", 10), ("postgresql", 15), pytest.param("sqlite", 40, marks=pytest.mark.full)]
)
def test_nobody_is_lost_whatever_the_history(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, engine: str, examples: int
) -> None:
    url = "sqlite://" if engine == "sqlite" else request.getfixturevalue("postgresql").new_schema()
    monkeypatch.setattr("consumer.ledger.settling.SWEPT_AT_ONCE", 2)
    with closing(open_ledger(url)) as ledger:

        def fresh() -> LedgerHistory:
            with ledger.engine.begin() as connection:
                for table in metadata.tables.values():
                    if table is not identity:  # whose ledger it is stays
                        connection.execute(table.delete())
            return LedgerHistory(ledger)

        run_state_machine_as_test(
            cast("Any", fresh), settings=settings(max_examples=examples, stateful_step_count=20, deadline=None)
        )
