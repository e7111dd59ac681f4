"""What the ledger is asked again and again costs the same however much is in it: each question looks into an index."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, text, update

from consumer.changes.kinds import KINDS, USERS
from consumer.changes.portions import recount
from consumer.clock import Clock
from consumer.cycles.deciding import Deciding
from consumer.cycles.trigger_terms import UNASKED_FROM_SCRATCH
from consumer.database.tables import changes, cycles, learned, portions, promotions, versions
from consumer.dead_letters.store import Which
from consumer.ledger.champions import BestSince
from consumer.ledger.efforts import efforts
from consumer.ledger.ledger import Ledger
from consumer.ledger.probes import Probed
from consumer.ledger.watching.ended import count_ended, ended_after, last_gate
from consumer.ledger.watching.figures import figures
from schemas.cycle import CycleKind, Outcome
from schemas.policies import TriggerPolicy
from tests.contract.ledgers import P0, batch, begin, ended

MANY = 300
_GROWING = re.compile(
    r"SCAN (changes|label_changes|cycles|versions|promotions|learned|learned_labels|asked|dead_letters)\b"
    r"(?! USING)"
)
LINEAGE: dict[str, Any] = {"offsets": {"t": {"0": [0, 3]}}, "changed_users": 1}


@contextmanager
def statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of the database in the block, with the values."""
    found: list[tuple[str, Any]] = []

    def heard(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        found.append((statement, values))

    event.listen(engine, "before_cursor_execute", heard)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", heard)


def many_cycles(ledger: Ledger, number: int = MANY) -> None:
    """A year of cycles: most have registered a version, the others were rejected."""
    begin(ledger)
    with ledger.engine.begin() as connection:
        for at in range(1, number + 1):
            registered = at % 3 > 0
            result = ended(f"c{at}", Outcome.REGISTERED if registered else Outcome.REJECTED, at if registered else None)
            row: dict[str, Any] = {"kind": "incremental" if at > 1 else "bootstrap", "reason": "r", "lineage": LINEAGE}
            row |= {"state": result.outcome.value, "settled": registered, "result": result.model_dump(mode="json")}
            times = {"claimed_at": at * 10.0, "ended_at": at * 10.0 + 5}
            connection.execute(insert(cycles).values(number=at, cycle_id=f"c{at}", attempts=0, **row, **times))
            if registered:
                connection.execute(insert(versions).values(version=at, cycle_id=f"c{at}", registered_at=at * 10.0))
                connection.execute(insert(promotions).values(version=at, at=at * 10.0, reason="better"))


def decide(ledger: Ledger) -> object:
    return Deciding(TriggerPolicy(), ledger, Clock()).decide(busy=False, probing=False, caught_up=True)


ASKED: dict[str, Callable[[Ledger], object]] = {
    "backlog": lambda ledger: ledger.views.backlog(),
    "history": lambda ledger: ledger.views.history(),
    "trigger": lambda ledger: decide(ledger),
    "gaps": lambda ledger: ledger.views.open_gaps(),
    "last cycle": lambda ledger: ledger.views.last_cycle(),
    "a cycle": lambda ledger: ledger.views.cycle("c7"),
    "the newest cycle": lambda ledger: ledger.views.cycle(),
    "newest versions": lambda ledger: ledger.views.versions(20),
    "outcomes": lambda ledger: ledger.views.outcomes_since_version(),
    "running, in short": lambda ledger: ledger.views.running(),
    "running": lambda ledger: ledger.cycles.running(),
    "base": lambda ledger: ledger.cycles.base(),
    "sweep": lambda ledger: ledger.cycles.sweep(1.0),
    "last probe": lambda ledger: ledger.probes.last(),
    "what is read": lambda ledger: ledger.views.read(),
    "open letters": lambda ledger: ledger.intake.open_letters(),
    "letters to publish": lambda ledger: ledger.letters.unpublished(),
    "figures for metrics": lambda ledger: figures(ledger.engine),
    "cycles for metrics": lambda ledger: list(ended_after(ledger.engine, MANY - 3)),
    "how cycles ended": lambda ledger: count_ended(ledger.engine),
    "the last gate": lambda ledger: last_gate(ledger.engine, MANY),
    "newest open letters": lambda ledger: ledger.letters.find(Which(), 50),
}


@pytest.mark.full
@pytest.mark.parametrize("question", ASKED)
def test_what_is_asked_in_every_turn_scans_no_table_that_grows(ledger: Ledger, fence: int, question: str) -> None:
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("a server plans by what is in its tables")
    many_cycles(ledger)
    ledger.probes.record(Probed(1e9, None, 1, None, "failed"), fence=fence)
    ledger.intake.record(batch(P0, 0, ["a", "b"]))
    with statements(ledger.engine) as asked:
        ASKED[question](ledger)
    assert asked
    with ledger.engine.connect() as connection:
        for statement, values in asked:
            if statement.startswith(("SELECT", "WITH")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
                scans = [row[3] for row in plan if _GROWING.search(row[3]) and " LIMIT " not in statement]
                assert not scans, statement


def test_cycles_from_scratch_of_other_reasons_are_not_looked_at(ledger: Ledger) -> None:
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("a server plans by what is in its tables")
    with statements(ledger.engine) as asked:
        efforts(ledger.engine, UNASKED_FROM_SCRATCH, 5)
    (statement, values) = next(one for one in asked if "reason IN" in one[0])
    with ledger.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert any("(reason=? AND kind=?)" in row[3] for row in plan)


def test_a_claim_takes_as_many_statements_for_many_users_as_for_one(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    counts, claimed = [], []
    for users in (2, 1, 700):  # the first has no version before it
        start = ledger.intake.positions("t")[P0]
        ledger.intake.record(batch(P0, start, [f"u{n}" for n in range(users)]))
        with statements(ledger.engine) as asked:
            claim = ledger.cycles.claim(CycleKind.FULL, "now", 1.0, fence=fence)
        counts.append(len(asked))
        claimed.append(len(claim.users))
        assert not [statement for statement, _ in asked if statement.startswith(("UPDATE changes", "DELETE FROM"))]
        assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, len(counts)), 2.0, fence=fence)
    assert claimed == [2, 1, 700]
    assert counts[1] == counts[2]


def test_versions_whose_figures_were_looked_at_are_not_looked_at_again(ledger: Ledger, fence: int) -> None:
    many_cycles(ledger, 30)
    draw, known = Random(7), BestSince()
    with ledger.engine.begin() as connection:
        for version in connection.scalars(select(versions.c.version)).all():
            figures = {name: draw.randint(0, 9) / 10 for name in ("accuracy", "precision", "recall")}
            told = {"gate": {"challenger": figures}}
            connection.execute(update(cycles).where(cycles.c.number == version).values(result=told))
    with ledger.engine.connect() as connection:
        for scratch, base in ((1, 29), (1, 28), (7, 29), (1, None), (1, 2)):
            assert known.of(connection, scratch, base) == BestSince().of(connection, scratch, base)
        before = known.of(connection, 1, 29)
    with ledger.engine.begin() as connection:
        connection.execute(update(cycles).where(cycles.c.number < 30).values(result={}))
    with ledger.engine.connect() as connection:
        assert known.of(connection, 1, 29) == before != ()
        assert BestSince().of(connection, 1, 29) == ()


def test_what_is_settled_is_taken_away_piecemeal_and_counts_as_learned_meanwhile(
    ledger: Ledger, fence: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.ledger.settling.SWEPT_AT_ONCE", 3)
    begin(ledger)
    ledger.intake.record(batch(P0, 0, [f"u{n}" for n in range(8)]))
    claim = ledger.cycles.claim(CycleKind.FULL, "now", 101.0, fence=fence)
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 102.0, fence=fence)
    assert rows_in(ledger) == 5
    assert ledger.views.backlog().empty
    assert ledger.cycles.recently_learned_users(103.0) == claim.users
    ledger.intake.record(batch(P0, 8, ["u7", "v"]))
    following = ledger.cycles.claim(CycleKind.INCREMENTAL, "now", 104.0, fence=fence)
    assert following.users == ("u7", "v")
    assert ledger.views.miscounted() == []
    assert ledger.cycles.sweep(105.0)
    assert not ledger.cycles.sweep(105.0)
    assert rows_in(ledger) == 2
    assert ledger.cycles.recently_learned_users(106.0) == claim.users
    running = ledger.cycles.running()
    assert running is not None
    assert running.users == following.users


def rows_in(ledger: Ledger) -> int:
    with ledger.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(changes)) or 0


@pytest.mark.parametrize(("claimed", "came"), [(1, 5), (5, 1), (3, 3), (4, 0)])
@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.FAILED])
def test_whichever_portion_is_smaller_what_is_given_back_is_one_row_a_user(
    ledger: Ledger, fence: int, claimed: int, came: int, outcome: Outcome
) -> None:
    begin(ledger)
    first, second = [f"u{n}" for n in range(claimed)], [f"u{n}" for n in range(came)]
    ledger.intake.record(batch(P0, 0, first, 100.0))
    claim = ledger.cycles.claim(CycleKind.FULL, "now", 101.0, fence=fence)
    if came:
        ledger.intake.record(batch(P0, claimed, second, 200.0))
    assert not ledger.cycles.settle(ended(claim.cycle_id, outcome), 201.0, fence=fence)
    tried = outcome is Outcome.REJECTED
    with ledger.engine.connect() as connection:
        rows = {row.user_id: row for row in connection.execute(select(changes))}
        (number,) = connection.scalars(select(portions.c.number))
        assert recount(connection, USERS, number).rows == max(claimed, came)
    assert rows.keys() == {*first, *second}
    for user, row in rows.items():
        again = user in first and user in second
        assert row.events == 1 + again
        assert row.first_event_at == (99.0 if user in first else 199.0)
        assert row.last_event_at == (199.0 if user in second else 99.0)
        assert row.received_at == (200.0 if user in second else 100.0)
        assert row.tried is (tried and user not in second)
        assert row.fresh_since == (200.0 if user in second and (tried or user not in first) else 100.0)
        assert row.first_position == (f"t[0]@{int(user[1:])}" if user in first else row.last_position)
    backlog = ledger.views.backlog()
    assert (backlog.users, backlog.untried) == (max(claimed, came), came if tried else max(claimed, came))
    assert ledger.views.miscounted() == []


def test_where_nobody_asks_who_was_learned_is_not_remembered(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    with ledger.engine.begin() as connection:
        connection.execute(insert(learned).values(user_id="of an earlier release", received_at=0.0))
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.FULL, "now", 101.0, fence=fence)
    a_week_later = 101.0 + 8 * 86_400
    registered = ended(claim.cycle_id, Outcome.REGISTERED, 1)
    assert ledger.cycles.settle(registered, a_week_later, fence=fence, remember=False)
    with ledger.engine.connect() as connection:
        assert not [row for kind in KINDS for row in connection.execute(select(kind.learned))]
    assert ledger.cycles.recently_learned_users(102.0) == ()


def test_what_is_not_to_be_remembered_any_more_is_taken_away_piecemeal(
    ledger: Ledger, fence: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.ledger.settling.SWEPT_AT_ONCE", 3)
    begin(ledger)
    with ledger.engine.begin() as connection:
        connection.execute(insert(learned), [{"user_id": f"u{n}", "received_at": float(n)} for n in range(8)])
    ledger.intake.record(batch(P0, 0, ["a"], 8 * 86_400.0))
    claim = ledger.cycles.claim(CycleKind.FULL, "now", 8 * 86_400.0, fence=fence)
    a_week_later = 8 * 86_400.0 + 1
    registered = ended(claim.cycle_id, Outcome.REGISTERED, 1)
    assert ledger.cycles.settle(registered, a_week_later, fence=fence, remember=False)
    assert remembered(ledger) == 5
    while ledger.cycles.sweep(a_week_later, remember=False):
        pass
    assert remembered(ledger) == 0


def remembered(ledger: Ledger) -> int:
    with ledger.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(learned)) or 0


def test_a_figure_that_is_wrong_is_told(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"]))
    assert ledger.views.miscounted() == []
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE portions SET untried = 7"))
    (told,) = ledger.views.miscounted()
    assert told.startswith("portion 1 of users has ")


def test_versions_are_counted_and_the_newest_are_given_oldest_first(ledger: Ledger) -> None:
    many_cycles(ledger, 30)
    assert ledger.views.count_versions() == 20
    assert [found["version"] for found in ledger.views.versions(3)] == [26, 28, 29]
    assert len(ledger.views.versions()) == 20
    with closing(ledger.views.each_version()) as newest_first:
        assert [found["version"] for found in newest_first] == [found["version"] for found in ledger.views.versions()][
            ::-1
        ]
    newest = ledger.views.cycle()
    assert newest is not None
    assert newest["cycle_id"] == "c30"
    assert ledger.views.cycle("nobody's") is None
