"""What people ask of the past: cycles, versions, and what became of a user. Each looks into an index."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import insert, update

from consumer.changes.kinds import USERS
from consumer.changes.portions import open_portion
from consumer.database.tables import cycles, learned, promotions, refused_users
from consumer.ledger.best_versions import best_versions
from consumer.ledger.ledger import Ledger
from consumer.ledger.past_changes import user_on_record
from consumer.ledger.past_cycles import (
    CHAMPION,
    LAST,
    NotOnRecord,
    State,
    WhichCycles,
    find_cycle,
    find_cycles,
    later_from_scratch,
)
from schemas.cycle import CycleKind, Outcome
from tests.contract.ledgers import P0, batch, begin, ended
from tests.contract.test_ledger_growth import _GROWING, many_cycles, statements

ASKED: dict[str, Callable[[Ledger], object]] = {
    "newest": lambda ledger: find_cycles(ledger.engine, WhichCycles(), 20),
    "rejected": lambda ledger: find_cycles(ledger.engine, WhichCycles((State.REJECTED, State.HELD)), 20),
    "of a kind": lambda ledger: find_cycles(ledger.engine, WhichCycles((), (CycleKind.FULL,)), 20),
    "both": lambda ledger: find_cycles(ledger.engine, WhichCycles((State.REJECTED,), (CycleKind.FULL,)), 20),
    "since": lambda ledger: find_cycles(ledger.engine, WhichCycles(since=2500.0), 20),
    "before": lambda ledger: find_cycles(ledger.engine, WhichCycles((State.REJECTED,), before=60), 20),
    "one version": lambda ledger: ledger.views.version(7),
    "a version": lambda ledger: find_cycle(ledger.engine, "7"),
    "a cycle": lambda ledger: find_cycle(ledger.engine, "c7"),
    "the champion": lambda ledger: find_cycle(ledger.engine, CHAMPION),
    "the last": lambda ledger: find_cycle(ledger.engine, LAST),
    "from scratch": lambda ledger: later_from_scratch(ledger.engine, 3),
    "a user": lambda ledger: user_on_record(ledger.engine, "a"),
}


@pytest.mark.parametrize("question", ASKED)
def test_each_question_looks_into_an_index(ledger: Ledger, fence: int, question: str) -> None:
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("a server plans by what is in its tables")
    many_cycles(ledger, 120)
    ledger.intake.record(batch(P0, 0, ["a", "b"]))
    with statements(ledger.engine) as asked:
        ASKED[question](ledger)
    assert asked
    with ledger.engine.connect() as connection:
        for statement, values in asked:
            if statement.startswith(("SELECT", "WITH")):
                plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
                assert not [step for step in plan if "TEMP B-TREE" in step], (statement, plan)
                if "cycles.state = ?" in statement and "cycles.kind = ?" in statement:
                    assert "cycles_of_a_state" in plan[0]
                assert not [step for step in plan if _GROWING.search(step) and " LIMIT " not in statement], plan


def numbers(found: list[dict[str, object]]) -> list[object]:
    return [one["number"] for one in found]


def test_cycles_come_newest_first_and_as_wanted(ledger: Ledger) -> None:
    many_cycles(ledger, 200)  # each third is rejected
    every = list(range(200, 0, -1))
    assert numbers(find_cycles(ledger.engine, WhichCycles(), 1000)) == every
    rejected = [number for number in every if number % 3 == 0]
    assert numbers(find_cycles(ledger.engine, WhichCycles((State.REJECTED,)), 5)) == rejected[:5]
    both = WhichCycles((State.REJECTED, State.REGISTERED))
    assert numbers(find_cycles(ledger.engine, both, 1000)) == every
    assert numbers(find_cycles(ledger.engine, WhichCycles(kinds=(CycleKind.BOOTSTRAP,)), 9)) == [1]
    assert numbers(find_cycles(ledger.engine, WhichCycles((State.REJECTED,), since=1800.0), 99)) == [
        number for number in rejected if number >= 180
    ]
    assert find_cycles(ledger.engine, WhichCycles((State.FAILED,)), 5) == []
    for before in (every[0] + 1, every[0], 50, 1, 0):
        assert numbers(find_cycles(ledger.engine, WhichCycles(before=before), 1000)) == [n for n in every if n < before]
        early = [n for n in rejected if n < before]
        assert numbers(find_cycles(ledger.engine, WhichCycles((State.REJECTED,), before=before), 1000)) == early


def test_a_cycle_is_found_by_every_name_that_it_has(ledger: Ledger) -> None:
    many_cycles(ledger, 30)
    with ledger.engine.begin() as connection:
        connection.execute(update(cycles).where(cycles.c.number == 28).values(cycle_id="c000028-0123abcd"))
    for name, number in {"29": 29, "c29": 29, CHAMPION: 29, LAST: 30, "c000028-01": 28, "c28": 28}.items():
        assert find_cycle(ledger.engine, name)["number"] == number
    for unknown in ("30", "31", "c000028-99", "c99", "nonsense", "99999999999999"):
        with pytest.raises(NotOnRecord, match="cycles up to c30, and versions up to 29"):
            find_cycle(ledger.engine, unknown)


def test_where_nothing_has_happened_it_says_so(ledger: Ledger) -> None:
    with pytest.raises(NotOnRecord, match="no cycle has run yet"):
        find_cycle(ledger.engine, "1")


def test_a_version_tells_when_it_was_champion_and_until_when(ledger: Ledger) -> None:
    many_cycles(ledger, 5)
    with ledger.engine.begin() as connection:
        back = {"version": 2, "at": 90.0, "reason": "worse", "action": "rollback", "by": "ann", "previous": 5}
        connection.execute(insert(promotions).values(**back))
    version = find_cycle(ledger.engine, "2")["version"]
    assert version["champion"]
    first, second = version["promotions"]
    assert (first["action"], first["followed_by"], first["until"]) == ("cycle", 4, "1970-01-01T00:00:40+00:00")
    assert (second["action"], second["by"], second["previous"], second["until"]) == ("rollback", "ann", 5, None)
    assert not find_cycle(ledger.engine, "5")["version"]["champion"]
    assert find_cycle(ledger.engine, "c3")["version"] is None


def test_the_next_training_from_scratch_is_the_newest_that_registered(ledger: Ledger) -> None:
    many_cycles(ledger, 9)
    assert later_from_scratch(ledger.engine, 1) is None
    with ledger.engine.begin() as connection:
        connection.execute(update(cycles).where(cycles.c.number.in_([5, 6])).values(kind="full"))
    found = later_from_scratch(ledger.engine, 2)
    assert found is not None
    assert found["number"] == 5
    assert later_from_scratch(ledger.engine, 5) is None


def test_versions_are_sorted_by_a_figure_and_those_without_come_last(ledger: Ledger) -> None:
    many_cycles(ledger, 6)  # versions 1, 2, 4, 5
    figures = {1: (0.7, 0.1), 4: (0.9, 0.3), 5: (0.8, 0.2)}
    with ledger.engine.begin() as connection:
        for number, (accuracy, error) in figures.items():
            result = ended(f"c{number}", Outcome.REGISTERED, number).model_dump(mode="json")
            scores = {"accuracy": accuracy, "auc": 1.0, "recall_at_10": 0.5, "calibration_error": error}
            result["gate"] = {"outcome": "passed", "reason": "r", "users": 1, "pairs": 1, "challenger": scores}
            connection.execute(update(cycles).where(cycles.c.number == number).values(result=result))

    def by(figure: str, limit: int | None = None) -> list[int]:
        return [one["version"] for one in best_versions(ledger.engine, figure, limit)]

    assert by("accuracy") == [4, 5, 1, 2]
    assert by("accuracy", 2) == [4, 5]
    assert by("calibration_error") == [1, 5, 4, 2]
    assert by("recall_at_50") == [5, 4, 2, 1]


def test_a_user_is_pending_then_claimed_then_settled(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    assert user_on_record(ledger.engine, "a").settled is None
    ledger.intake.record(batch(P0, 0, ["a", "a", "b"], now=100.0))
    waiting = user_on_record(ledger.engine, "a")
    assert waiting.pending is not None
    assert (waiting.pending.events, waiting.pending.last_position, waiting.tries) == (2, "t[0]@1", ())
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 110.0, fence=fence)
    ledger.intake.record(batch(P0, 3, ["a"], now=120.0))
    both = user_on_record(ledger.engine, "a")
    assert both.claimed is not None
    assert both.pending is not None
    assert (both.claimed.cycle_id, both.pending.events, both.tries) == (claim.cycle_id, 1, ())
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 130.0, fence=fence)
    after = user_on_record(ledger.engine, "a")
    assert after.claimed is None
    assert after.pending is not None
    assert after.settled is not None
    assert (after.settled.cycle_id, after.settled.received_at, after.settled.events) == (claim.cycle_id, 100.0, 2)


def test_what_is_settled_and_not_yet_noted_counts_as_settled(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 110.0, fence=fence)
    with ledger.engine.begin() as connection:
        ended_so = {"state": "registered", "ended_at": 120.0, "settled": True}
        connection.execute(update(cycles).where(cycles.c.cycle_id == claim.cycle_id).values(**ended_so))
        open_portion(connection, USERS)
        connection.execute(learned.insert().values(user_id="a", received_at=1.0))
    found = user_on_record(ledger.engine, "a")
    assert found.settled is not None
    assert (found.settled.cycle_id, found.settled.received_at, found.claimed) == (claim.cycle_id, 100.0, None)


def test_cycles_that_gave_a_change_back_are_named_and_earlier_ones_are_not(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    early = ledger.cycles.claim(CycleKind.BOOTSTRAP, "before it came", 90.0, fence=fence)
    ledger.cycles.settle(ended(early.cycle_id, Outcome.HELD), 95.0, fence=fence)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    for at, outcome in ((110.0, Outcome.REJECTED), (120.0, Outcome.FAILED)):
        claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", at, fence=fence)
        ledger.cycles.settle(ended(claim.cycle_id, outcome), at + 5, fence=fence)
    found = user_on_record(ledger.engine, "a")
    assert found.pending is not None
    assert found.pending.tried
    assert [(one.state, one.reason, one.ended_at) for one in found.tries] == [
        ("failed", "said so", 125.0),
        ("rejected", "said so", 115.0),
    ]


def test_of_what_an_earlier_release_settled_only_the_time_is_known(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(learned.insert().values(user_id="a", received_at=5.0))
        row = {"user_id": "b", "reason": "taste is missing", "since": 1.0, "last_at": 2.0, "times": 3, "cycle_id": "c9"}
        connection.execute(refused_users.insert().values(**row))
    settled = user_on_record(ledger.engine, "a").settled
    assert settled is not None
    assert (settled.received_at, settled.cycle_id, settled.operation) == (5.0, None, None)
    refused = user_on_record(ledger.engine, "b").refused
    assert refused is not None
    assert (refused.reason, refused.times, refused.cycle_id) == ("taste is missing", 3, "c9")


def test_one_version_is_told_as_among_all(ledger: Ledger) -> None:
    many_cycles(ledger, 12)
    every = ledger.views.versions()
    assert len(every) > 2
    assert [ledger.views.version(one["version"]) for one in every] == every
    assert ledger.views.version(every[-1]["version"] + 1) is None
