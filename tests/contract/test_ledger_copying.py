"""A copy of a ledger is the ledger of one moment, on either engine, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from consumer.database.engine import make_engine
from consumer.database.tables import instances, leases, metadata
from consumer.errors import LedgerError
from consumer.ledger.copying import copy_ledger, skip_versions
from consumer.ledger.ledger import Ledger, open_ledger
from schemas.cycle import CycleKind, Outcome
from tests.contract.ledgers import P0, batch, begin, ended, passed_over, take


@pytest.fixture(params=["sqlite", "postgresql"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'copy.db'}"
    url: str = request.getfixturevalue("postgresql").new_schema()
    return url


@pytest.fixture
def target(target_url: str) -> Iterator[Engine]:
    engine = make_engine(target_url)
    yield engine
    engine.dispose()


def rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    with engine.connect() as connection:
        return {
            table.name: sorted((dict(row) for row in connection.execute(select(table)).mappings()), key=repr)
            for table in metadata.sorted_tables
            if table.name not in {leases.name, instances.name}
        }


def with_a_past(ledger: Ledger, fence: int) -> None:
    """A version, a rejected cycle, a running one, pending changes, a gap, requests."""
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b", ("a", "b")]))
    first = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 101.0, fence=fence)
    ledger.cycles.settle(ended(first.cycle_id, Outcome.REGISTERED, 1), 102.0, fence=fence)
    ledger.intake.record(batch(P0, 3, ["c", "d\N{PILE OF POO}"]))
    refused = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 103.0, fence=fence)
    ledger.cycles.settle(ended(refused.cycle_id, Outcome.REJECTED), 104.0, fence=fence)
    passed_over(ledger, P0, 5, 9)
    ledger.retrain_requests.ask(CycleKind.FULL, "schedule", 105.0)
    ledger.cycles.claim(CycleKind.INCREMENTAL, "running", 106.0, fence=fence)
    ledger.intake.record(batch(P0, 9, ["e"]))


def test_a_copy_has_every_row_as_it_is(ledger: Ledger, fence: int, target: Engine) -> None:
    with_a_past(ledger, fence)
    seen: list[int] = []
    counts = copy_ledger(ledger.engine, target, seen.append)
    assert rows(target) == rows(ledger.engine)
    assert counts["cycles"] == 3
    assert sum(counts.values()) == seen[-1]


def test_a_copy_goes_on_where_the_ledger_was(ledger: Ledger, fence: int, target: Engine, target_url: str) -> None:
    with_a_past(ledger, fence)
    copy_ledger(ledger.engine, target)
    with closing(open_ledger(target_url)) as copy:
        assert copy.ledger_id == ledger.ledger_id
        token = take(copy)
        running = copy.cycles.running()
        assert running is not None
        assert running.users == ("c", "d\N{PILE OF POO}")
        copy.cycles.settle(ended(running.cycle_id, Outcome.REGISTERED, 2), 200.0, fence=token)
        copy.retrain_requests.ask(CycleKind.INCREMENTAL, "operator", 201.0)
        again = copy.cycles.claim(CycleKind.INCREMENTAL, "again", 202.0, fence=token)
        assert again.users == ("e",)
        assert again.base_version == 2
        assert copy.views.miscounted() == []


def test_a_restored_ledger_gives_no_number_twice(ledger: Ledger, fence: int, target: Engine, target_url: str) -> None:
    with_a_past(ledger, fence)
    copy_ledger(ledger.engine, target)
    skip_versions(target, 40)
    with closing(open_ledger(target_url)) as copy:
        claim = copy.cycles.running()
        assert claim is not None
        assert claim.min_version_exclusive == 40


def test_a_copy_overwrites_no_ledger(ledger: Ledger, target: Engine) -> None:
    copy_ledger(ledger.engine, target)
    with pytest.raises(LedgerError, match="has a ledger already"):
        copy_ledger(ledger.engine, target)


@pytest.mark.full
def test_what_is_committed_meanwhile_is_not_copied(ledger: Ledger, fence: int, target: Engine) -> None:
    with_a_past(ledger, fence)
    before = rows(ledger.engine)
    later = iter([10, 11, 12, 13, 14])

    def somebody_writes(_rows: int) -> None:
        if (offset := next(later, None)) is not None:
            ledger.intake.record(batch(P0, offset, [f"later-{offset}"]))

    copy_ledger(ledger.engine, target, somebody_writes)
    assert rows(target) == before
    assert rows(ledger.engine) != before
