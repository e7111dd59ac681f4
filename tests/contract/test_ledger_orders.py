"""Promotions and rollbacks by persons, on both engines: the champion moves, and what it has not learned is pending."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from consumer.changes.kinds import KINDS
from consumer.changes.portions import waiting
from consumer.database.tables import changes, cycles, learned, offsets, versions
from consumer.dead_letters.letter import DeadLetter
from consumer.errors import LedgerError
from consumer.ledger.cycles import Claim
from consumer.ledger.ledger import Ledger
from consumer.ledger.promotions import Ordered
from consumer.positions import Position
from schemas.cycle import CycleKind, CycleResult, GateReport, Metrics, Outcome, ReadReport
from schemas.labels import PairKey
from schemas.promotions import PromotionAction
from tests.contract.ledgers import P0, P1, batch, begin

DAY = 86_400.0


class Bench:
    """A ledger on which cycles follow each other; each learns what it is told of, as events of partition 0."""

    def __init__(self, ledger: Ledger, fence: int) -> None:
        self.ledger, self.fence, self.now, self.version = ledger, fence, 100.0, 0
        begin(ledger)

    def events(self, *who: str | PairKey) -> None:
        self.now += 1
        start = self.ledger.intake.positions("t")[P0]
        self.ledger.intake.record(batch(P0, start, list(who), self.now))

    def claim(self, *who: str | PairKey, kind: CycleKind = CycleKind.INCREMENTAL) -> Claim:
        if who:
            self.events(*who)
        self.now += 1
        return self.ledger.cycles.claim(kind, "in turn", self.now, fence=self.fence)

    def end(self, claim: Claim, outcome: Outcome = Outcome.REGISTERED, **more: Any) -> bool:
        """Whether its claim is settled."""
        self.now += 1
        if outcome is Outcome.REGISTERED:
            self.version += 1
            more["version"] = self.version
        told: dict[str, Any] = {"reason": "said so", "base_version": claim.base_version, "known_users": 7, **more}
        result = CycleResult(cycle_id=claim.cycle_id, outcome=outcome, **told)
        return self.ledger.cycles.settle(result, self.now, fence=self.fence)

    def cycle(
        self,
        *who: str | PairKey,
        kind: CycleKind = CycleKind.INCREMENTAL,
        outcome: Outcome = Outcome.REGISTERED,
        **more: Any,
    ) -> Claim:
        """Events of these users and labels, and a cycle over all that is pending."""
        claim = self.claim(*who, kind=kind)
        self.end(claim, outcome, **more)
        return claim

    def promote(self, version: int, **more: Any) -> Ordered:
        self.now += 1
        order: dict[str, Any] = {"instead_of": self.champion, "by": "ann@host", "reason": "better", **more}
        return self.ledger.promotions.promote(version, now=self.now, **order)

    def rollback(self, version: int | None = None, **more: Any) -> Ordered:
        self.now += 1
        order: dict[str, Any] = {
            "instead_of": self.champion,
            "by": "ann@host",
            "reason": "bad",
            "hold_down": DAY,
            **more,
        }
        return self.ledger.promotions.rollback(version, now=self.now, **order)

    @property
    def champion(self) -> int | None:
        return self.ledger.views.history().champion

    @property
    def pending(self) -> set[str]:
        with self.ledger.engine.begin() as connection:
            rows = [row for kind in KINDS for row in connection.execute(waiting(kind, kind.key))]
        return {key for key, cycle_id in rows if not cycle_id}

    def position(self, user: str) -> str:
        """Where the last event of a user who waits was read."""
        with self.ledger.engine.begin() as connection:
            found = waiting(KINDS[0], changes.c.last_position).where(changes.c.user_id == user)
            return str(connection.execute(found).one()[0])

    @property
    def untried(self) -> int:
        backlog = self.ledger.views.backlog()
        return backlog.untried + backlog.untried_labels

    @property
    def settled_to(self) -> int:
        with self.ledger.engine.begin() as connection:
            return connection.scalar(select(offsets.c.settled_offset).where(offsets.c.partition == 0)) or 0

    def of(self, version: int) -> Any:
        with self.ledger.engine.begin() as connection:
            return connection.execute(select(versions).where(versions.c.version == version)).one()


@pytest.fixture
def bench(ledger: Ledger, fence: int) -> Bench:
    """Versions 1 of `a` and `b`, 2 of `b` and `c`, 3 of a label and `d`."""
    made = Bench(ledger, fence)
    made.cycle("a", "b", kind=CycleKind.BOOTSTRAP)
    made.cycle("b", "c")
    made.cycle(("a", "b"), "d")
    return made


def test_a_day_of_orders(bench: Bench) -> None:
    """Promotes, rolls back, holds down, pins and promotes again: the quick one of what two services do elsewhere."""
    ledger = bench.ledger
    done = bench.rollback()
    assert (bench.champion, done.promotion.previous, done.withdrawn) == (2, 3, (3,))
    assert (bench.pending, bench.untried, bench.settled_to) == ({"d", '["a","b"]'}, 0, 4)
    assert done.moved.given_back == {"users": 1, "labels": 1}
    again = bench.cycle("e")  # it has learned what was rolled back, too
    assert set(again.users) == {"d", "e"}
    assert (again.base_version, again.lineage.offsets) == (2, {"t": {0: (4, 7)}})
    assert (bench.champion, bench.untried) == (2, 0)
    assert "held down until" in bench.of(4).not_promoted
    assert "2 changes that were rolled back by ann@host" in bench.of(4).not_promoted
    bench.cycle("f")  # and so has the next one
    assert (bench.champion, bench.of(5).withdrawn) == (2, True)
    bench.promote(5)
    assert (bench.champion, bench.pending, bench.settled_to) == (5, set(), 8)
    assert (bench.of(5).withdrawn, bench.of(5).not_promoted) == (False, None)
    bench.cycle("d")  # a person's word has ended the hold-down
    assert bench.champion == 6
    ledger.orders.pin(None, by="ann@host", reason="an audit", now=bench.now)
    bench.cycle("g")
    assert (bench.champion, bench.pending, bench.untried) == (6, {"g"}, 0)
    assert "version 6 is pinned by ann@host" in bench.of(7).not_promoted
    done = bench.promote(7)
    assert (bench.champion, bench.pending, done.moved.learned["users"]) == (7, set(), 1)
    pin = ledger.orders.standing(bench.now).pin
    assert pin is not None
    assert (pin.version, pin.reason) == (7, "an audit")
    ledger.orders.unpin(by="bob@host", reason="", now=bench.now)
    bench.cycle("h")
    assert bench.champion == 8
    assert ledger.views.miscounted() == []


def test_back_and_forth_leaves_everything_as_it_was(bench: Bench) -> None:
    def state() -> Any:
        with bench.ledger.engine.begin() as connection:
            rows = sorted(connection.execute(select(learned)).all())
            marks = connection.execute(select(cycles.c.cycle_id, cycles.c.settled).order_by(cycles.c.number)).all()
        return rows, marks, bench.pending, bench.settled_to, bench.ledger.cycles.base().last_promoted_cycle

    before = state()
    bench.rollback(1)
    assert bench.pending == {"b", "c", "d", '["a","b"]'}
    assert (bench.settled_to, bench.of(2).withdrawn, bench.of(3).withdrawn) == (2, True, True)
    bench.promote(3)
    assert state() == before
    bench.rollback(2)
    bench.promote(3)
    assert state() == before


def test_a_later_event_is_not_taken_for_learned(bench: Bench) -> None:
    bench.rollback(1)
    bench.events("c")
    bench.promote(3)
    assert (bench.pending, bench.untried) == ({"c"}, 1)
    assert bench.settled_to == 6


def test_an_order_that_names_another_champion_than_there_is_changes_nothing(bench: Bench) -> None:
    with pytest.raises(LedgerError, match="the champion is version 3, and not version 2, as it was when this was"):
        bench.promote(1, instead_of=2)
    with pytest.raises(LedgerError, match="the champion is version 3, and not version 2"):
        bench.rollback(1, instead_of=2)
    assert bench.champion == 3
    assert bench.pending == set()


def test_what_cannot_be_champion_is_refused_with_a_way_out(bench: Bench) -> None:
    with pytest.raises(LedgerError, match="knows no version 9"):
        bench.promote(9)
    with pytest.raises(LedgerError, match="version 3 is the champion already"):
        bench.rollback(3)
    with bench.ledger.engine.begin() as connection:
        connection.execute(update(versions).where(versions.c.version == 1).values(deleted_at=5.0))
    with pytest.raises(LedgerError, match="version 1 was deleted"):
        bench.promote(1)
    bench.rollback()
    with pytest.raises(LedgerError, match="no champion before version 2 to go back to"):
        bench.rollback()
    bench.ledger.orders.pin(2, by="ann", reason="r", now=bench.now)
    bench.cycle("x")
    with pytest.raises(LedgerError, match="version 4 never was champion; `retrainer promote 4`"):
        bench.rollback(4)


def test_each_rollback_goes_further_back(bench: Bench) -> None:
    assert [bench.rollback().promotion.version for _ in range(2)] == [2, 1]
    assert bench.pending == {"b", "c", "d", '["a","b"]'}
    last = bench.ledger.promotions.last()
    assert last is not None
    assert (last.action, last.by, last.reason, last.previous) == (PromotionAction.ROLLBACK, "ann@host", "bad", 2)


def test_what_was_unchanged_on_a_version_goes_with_it(bench: Bench) -> None:
    bench.cycle("e", outcome=Outcome.UNCHANGED)
    bench.cycle("f")
    bench.rollback(3)
    assert bench.pending == {"f"}  # version 3 answers for e
    assert bench.ledger.views.cycles()[3]["settled"] is True
    claim = bench.claim()
    assert (claim.lineage.unchanged_users, claim.lineage.offsets) == (1, {"t": {0: (6, 8)}})
    bench.end(claim, Outcome.REJECTED)
    bench.rollback(2)
    assert bench.pending == {"f", "e", "d", '["a","b"]'}
    bench.promote(4)
    assert (bench.pending, bench.settled_to) == (set(), 8)


def test_a_cycle_under_way_gives_back_what_the_new_champion_has_not_learned(bench: Bench) -> None:
    claim = bench.claim("d", "e")
    done = bench.rollback()
    assert done.running == claim.cycle_id
    assert bench.pending == {'["a","b"]'}  # d has changed again, and is claimed
    assert bench.end(claim) is False
    assert (bench.champion, bench.pending, bench.untried) == (2, {"d", "e", '["a","b"]'}, 2)
    assert "the champion changed while the cycle ran: it is version 2 now" in bench.of(4).not_promoted
    bench.promote(4)
    assert bench.pending == set()


def test_what_a_cycle_has_claimed_is_not_taken_for_the_change_before(bench: Bench) -> None:
    claim = bench.claim("d")
    bench.rollback(2)
    assert bench.end(claim, Outcome.REJECTED) is False
    bench.promote(3)  # it has learned the earlier change of d, and not this one
    assert bench.pending == {"d"}


@pytest.mark.parametrize("beside", [(), ("e", "f")], ids=["it alone", "with others"])
def test_a_claimed_change_stays_the_later_one_whatever_comes_back(bench: Bench, beside: tuple[str, ...]) -> None:
    """Whichever of the two portions moves: the one given back has more rows where others come back, too."""
    bench.cycle("d", *beside)
    claim = bench.claim("d")
    position = bench.position("d")
    bench.rollback()
    bench.end(claim, Outcome.REJECTED)
    assert bench.position("d") == position
    bench.promote(4)  # it has learned the earlier change of d, and not this one
    assert bench.pending == {"d"}


def test_a_champion_that_is_back_before_the_cycle_ends_settles_it(bench: Bench) -> None:
    claim = bench.claim("d", "e")
    bench.rollback(1)
    bench.promote(3)
    assert bench.pending == set()
    assert bench.end(claim) is True
    assert (bench.champion, bench.pending, bench.settled_to) == (4, set(), 8)


def test_what_a_cycle_gives_back_and_the_new_champion_has_learned_is_settled(bench: Bench) -> None:
    bench.rollback(2)
    claim = bench.claim("e")
    bench.promote(3)
    assert bench.end(claim, Outcome.REJECTED) is False
    assert bench.pending == {"e"}


def test_a_full_retrain_that_is_rolled_back_takes_all_that_it_learned_with_it(bench: Bench) -> None:
    bench.cycle("a", kind=CycleKind.FULL)
    bench.cycle("f")
    claim = bench.claim("g")
    assert (claim.baseline_version, claim.base_version) == (4, 5)
    bench.end(claim, Outcome.REJECTED)
    bench.rollback(3)
    assert (bench.of(4).withdrawn, bench.of(5).withdrawn) == (True, True)
    claim = bench.claim()
    assert (set(claim.users), claim.baseline_version, claim.base_version) == ({"a", "f", "g"}, 1, 3)
    third = bench.ledger.views.versions()[2]["cycle_id"]
    assert claim.last_promoted_cycle == third  # a space without that cycle has missed something
    bench.end(claim, Outcome.REJECTED)
    bench.promote(4)
    assert bench.pending == {"f", "g"}
    assert bench.claim().baseline_version == 4


def test_a_full_retrain_is_held_down_whatever_is_pending(bench: Bench) -> None:
    bench.rollback()
    bench.events("d", ("a", "b"))  # all that was rolled back has changed since
    bench.cycle(kind=CycleKind.FULL)
    assert (bench.champion, bench.of(4).withdrawn) == (2, True)
    assert "it has learned everything" in bench.of(4).not_promoted


def test_what_has_changed_since_is_not_held_down(bench: Bench) -> None:
    bench.rollback()
    bench.cycle("d", ("a", "b"))
    assert bench.champion == 4


@pytest.mark.parametrize("hold_down", [0.0, 10.0])
def test_a_hold_down_ends_with_its_time(bench: Bench, hold_down: float) -> None:
    bench.rollback(hold_down=hold_down)
    assert (bench.ledger.orders.standing(bench.now).hold_down is None) is (hold_down == 0)
    bench.now += 10
    bench.cycle("e")
    assert bench.champion == 4


def test_nothing_is_promoted_while_cycles_are_paused(bench: Bench) -> None:
    claim = bench.claim("e")
    bench.ledger.orders.pause(by="ann@host", reason="a move", now=bench.now)
    paused = bench.ledger.orders.paused()
    assert paused is not None
    assert (paused.by, paused.reason) == ("ann@host", "a move")
    assert bench.end(claim) is False
    assert (bench.champion, bench.pending, bench.untried) == (3, {"e"}, 0)
    assert "cycles are paused by ann@host" in bench.of(4).not_promoted
    assert bench.ledger.orders.resume(by="ann@host", reason="", now=bench.now).reason == "a move"
    assert bench.ledger.orders.paused() is None
    for end in (bench.ledger.orders.resume, bench.ledger.orders.unpin):
        with pytest.raises(LedgerError, match="see `retrainer status`"):
            end(by="ann@host", reason="", now=bench.now)


def test_only_the_champion_is_pinned(bench: Bench) -> None:
    with pytest.raises(LedgerError, match="version 2 is not the champion, version 3 is: `retrainer promote 2` first"):
        bench.ledger.orders.pin(2, by="ann", reason="r", now=bench.now)
    assert bench.ledger.orders.pin(3, by="ann", reason="r", now=bench.now) == 3


def test_neither_withdrawn_versions_nor_challengers_that_never_were_champion_are_nominated(bench: Bench) -> None:
    def gate(accuracy: float) -> GateReport:
        figures = {"precision": 0.5, "recall": 0.5, "average_precision": 0.5, "recall_at_10": 0.5}
        metrics = Metrics(accuracy=accuracy, auc=None, calibration_error=0.0, **figures)
        return GateReport(outcome="passed", reason="fine", users=9, pairs=9, challenger=metrics)

    bench.cycle("e", gate=gate(0.7))  # version 4
    bench.cycle("f", gate=gate(0.9))  # version 5
    bench.cycle("g", gate=gate(0.8))  # version 6
    claim = bench.claim("h")
    assert claim.best_since == (5,)
    bench.end(claim, Outcome.REJECTED)
    bench.rollback(4)
    claim = bench.claim()
    assert claim.best_since == ()
    bench.end(claim, gate=gate(0.95))  # version 7 is held down
    bench.promote(6)
    claim = bench.claim("i")
    assert claim.best_since == (4,)
    bench.end(claim, Outcome.REJECTED)


def test_what_nobody_has_noted_asks_for_a_full_retrain(bench: Bench) -> None:
    claim = bench.claim("e")
    result = CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="r", base_version=3, version=4, known_users=7
    )
    bench.ledger.cycles.settle(result, bench.now, fence=bench.fence, remember=False)
    bench.version = 4
    done = bench.rollback()
    assert (done.moved.forgotten, bench.pending) == (1, set())
    why = bench.ledger.retrain_requests.why_full()
    assert why is not None
    assert "does not know what 1 later cycles had learned" in why


def test_whoever_a_whole_reading_has_mended_is_pending_after_its_rollback(bench: Bench) -> None:
    refusing = ReadReport(accepted=0, deleted=0, refused={"e": "unfit"}, refused_total=1)
    bench.cycle("e", read=refusing)
    bench.cycle("f", kind=CycleKind.FULL, read=ReadReport(accepted=9, deleted=0, whole=True))
    assert bench.ledger.refusals.find("user") == []
    bench.rollback()
    assert bench.pending == {"e", "f"}


def test_a_topic_that_was_recreated_since_is_read_from_where_it_was(bench: Bench) -> None:
    letter = DeadLetter(Position(*P0, 0), bench.now, None, None, (), "gap", "recreated")
    bench.now += 1
    bench.ledger.intake.jump(P0, 6, 0, letter, bench.now, "another")
    bench.cycle("x")
    bench.cycle("y")
    assert bench.settled_to == 2
    bench.rollback(3)
    assert bench.settled_to == 0  # its offsets were of the log that is gone
    assert bench.pending == {"x", "y"}
    bench.promote(4)
    assert bench.settled_to == 1


def test_replays_go_with_the_version_that_learned_them(bench: Bench) -> None:
    bench.now += 1
    bench.ledger.intake.record_replay({"t": {1: (0, 2)}}, 2, batch(P1, 0, ["p", "q"], bench.now))
    bench.cycle(kind=CycleKind.BACKFILL)
    bench.rollback()
    claim = bench.claim()
    assert claim.lineage.replayed == {"t": {1: ((0, 2),)}}
    bench.end(claim, Outcome.REJECTED)
    bench.promote(4)
    assert bench.claim().lineage.replayed == {}


def test_a_learned_change_bears_the_cycle_of_its_version(bench: Bench) -> None:
    bench.rollback()
    with bench.ledger.engine.begin() as connection:
        assert connection.scalar(select(changes.c.learned_by)) == bench.ledger.views.versions()[2]["cycle_id"]
    bench.cycle("e")
    with bench.ledger.engine.begin() as connection:
        by = set(connection.scalars(select(changes.c.learned_by)))
    assert by == {bench.ledger.views.versions()[3]["cycle_id"]}
