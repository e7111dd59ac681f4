"""P1 while persons move the champion: whatever the champion has not learned is pending or claimed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from consumer.changes.kinds import KINDS
from consumer.changes.portions import waiting
from consumer.database.tables import identity, metadata, offsets
from consumer.errors import LedgerError
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Partition, Position
from schemas.cycle import CycleKind, Outcome
from schemas.labels import PairKey, pair_of
from tests.contract.ledgers import P0, P1, batch, begin, ended, take

WHO: list[str | PairKey] = ["a", "b", ("a", "b")]
Who = str | PairKey
Learned = dict[Who, int]
"""The last event of each, by its number, that a version answers for."""


@dataclass
class _Model:
    next_offset: dict[Partition, int] = field(default_factory=lambda: {P0: 0, P1: 0})
    number: int = 0
    last: Learned = field(default_factory=dict)
    """The last event of each user and label."""
    place: dict[Who, tuple[int, int]] = field(default_factory=dict)
    """Where that event lies: partition and offset."""
    learned: dict[int | None, Learned] = field(default_factory=lambda: {None: {}})
    champion: int | None = None
    claimed: Learned = field(default_factory=dict)
    would_learn: Learned = field(default_factory=dict)
    """What the version of the running cycle would answer for."""
    base: int | None = None
    pinned: bool = False

    @property
    def unlearned(self) -> set[Who]:
        learned = self.learned[self.champion]
        return {who for who, number in self.last.items() if learned.get(who, 0) < number}

    @property
    def versions(self) -> list[int]:
        return [version for version in self.learned if version is not None]


class OrdersHistory(RuleBasedStateMachine):
    """Events, cycles, and persons who promote, roll back and pin."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        begin(ledger)
        self.fence = take(ledger)
        self.model = _Model()
        self.cycle_id: str | None = None
        self.now = 0.0

    @rule(partition=st.sampled_from([P0, P1]), changed=st.lists(st.sampled_from(WHO), min_size=1, max_size=2))
    def events_arrive(self, partition: Partition, changed: list[Who]) -> None:
        start = self.model.next_offset[partition]
        self.ledger.intake.record(batch(partition, start, changed, self.now))
        self.model.next_offset[partition] += len(changed)
        for at, who in enumerate(changed, start):
            self.model.number += 1
            self.model.last[who] = self.model.number
            self.model.place[who] = partition.number, at

    @precondition(lambda self: self.cycle_id is None)
    @rule(kind=st.sampled_from([CycleKind.INCREMENTAL, CycleKind.INCREMENTAL, CycleKind.FULL]))
    def a_cycle_starts(self, kind: CycleKind) -> None:
        self.now += 1
        model = self.model
        claim = self.ledger.cycles.claim(kind, "in turn", self.now, fence=self.fence)
        self.cycle_id, model.base = claim.cycle_id, model.champion
        assert claim.base_version == model.champion
        whom: list[Who] = [*claim.users, *claim.labels]
        model.claimed = {who: model.last[who] for who in whom}
        everything = model.last if kind.from_scratch else model.learned[model.champion] | model.claimed
        model.would_learn = dict(everything)

    @precondition(lambda self: self.cycle_id is not None)
    @rule(outcome=st.sampled_from([Outcome.REGISTERED, Outcome.REGISTERED, Outcome.UNCHANGED, Outcome.REJECTED]))
    def the_cycle_ends(self, outcome: Outcome) -> None:
        assert self.cycle_id is not None
        model, self.now = self.model, self.now + 1
        version = len(model.versions) + 1 if outcome is Outcome.REGISTERED else None
        settled = self.ledger.cycles.settle(ended(self.cycle_id, outcome, version), self.now, fence=self.fence)
        self.cycle_id = None
        assert not (settled and model.champion != model.base)
        assert not (settled and version and model.pinned)
        if version is not None:
            model.learned[version] = model.would_learn
            model.champion = version if settled else model.champion
        elif settled:
            model.learned[model.champion] |= model.claimed
        model.claimed = {}

    @precondition(lambda self: self.model.versions)
    @rule(data=st.data())
    def a_person_promotes(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.model.versions))
        self._ordered(self.ledger.promotions.promote, version)

    @precondition(lambda self: self.model.champion is not None)
    @rule(data=st.data(), hold_down=st.sampled_from([0.0, 5.0]))
    def a_person_rolls_back(self, data: st.DataObject, hold_down: float) -> None:
        version = data.draw(st.sampled_from([None, *self.model.versions]))
        try:
            self._ordered(self.ledger.promotions.rollback, version, hold_down=hold_down)
        except LedgerError:  # there is none before, it never was champion, or it is
            assert self.ledger.views.history().champion == self.model.champion

    @rule()
    def a_person_pins_or_unpins(self) -> None:
        orders: Any = {"by": "ann", "reason": "r", "now": self.now}
        if self.model.pinned:
            self.ledger.orders.unpin(**orders)
        elif self.model.champion is not None:
            self.ledger.orders.pin(None, **orders)
        self.model.pinned = not self.model.pinned and self.model.champion is not None

    @rule()
    def what_is_settled_is_swept(self) -> None:
        self.ledger.cycles.sweep(self.now)

    def _ordered(self, order: Any, version: int | None, **more: Any) -> None:
        self.now += 1
        done = order(version, instead_of=self.model.champion, by="ann", reason="r", now=self.now, **more)
        self.model.champion = done.promotion.version
        assert done.moved.forgotten == 0

    @invariant()
    def whatever_the_champion_has_not_learned_is_waiting(self) -> None:
        with self.ledger.engine.begin() as connection:
            users, labels = (
                set(connection.execute(waiting(kind, kind.key, kind.changes.c.last_position)).tuples())
                for kind in KINDS
            )
            settled = select(offsets.c.partition, offsets.c.settled_offset)
            settled_to = dict(connection.execute(settled).tuples().all())
        last = {(who, position) for who, position, _ in users}
        last |= {(pair_of(who), position) for who, position, _ in labels}
        for who in self.model.unlearned:
            partition, offset = self.model.place[who]
            # The last event itself: an earlier one would tell another operation, or of another version.
            assert (who, str(Position("t", partition, offset))) in last
            assert offset >= settled_to[partition]

    @invariant()
    def what_is_counted_is_what_is_there(self) -> None:
        assert self.ledger.views.miscounted() == []
        assert self.ledger.views.history().champion == self.model.champion


@pytest.mark.parametrize(
    ("engine", "examples"), [("sqlite", 8), ("postgresql", 4), pytest.param("sqlite", 25, marks=pytest.mark.full)]
)
def test_nobody_is_lost_whatever_persons_order(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, engine: str, examples: int
) -> None:
    url = "sqlite://" if engine == "sqlite" else request.getfixturevalue("postgresql").new_schema()
    monkeypatch.setattr("consumer.ledger.settling.SWEPT_AT_ONCE", 2)
    with closing(open_ledger(url)) as ledger:

        def fresh() -> OrdersHistory:
            with ledger.engine.begin() as connection:
                for table in metadata.tables.values():
                    if table is not identity:  # whose ledger it is stays
                        connection.execute(table.delete())
            return OrdersHistory(ledger)

        run_state_machine_as_test(
            cast("Any", fresh), settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
        )
