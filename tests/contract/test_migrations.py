"""Ledgers of earlier releases are brought up to date, whole; the dumps in tests/ledgers were made by those releases."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, Table, select
from structlog.testing import capture_logs

from consumer.database.digest import digest
from consumer.database.engine import make_engine
from consumer.database.migrations import migrate
from consumer.database.tables import SCHEMA_VERSION, metadata, schema_version
from consumer.dead_letters.letter import DeadLetter
from consumer.dead_letters.store import Which
from consumer.errors import LedgerError, NoLedger, OldLedger
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Position
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.log_events.service import LEDGER_IN_OTHER_HANDS
from tests.waiting import wait_until

DUMPS = Path(__file__).parents[1] / "ledgers"
RELEASED = [1, 2, 3, 4, 5, 6, 7, 8]
NUMBERED = {
    "cycles": "number",
    "promotions": "number",
    "dead_letters": "id",
    "asked": "number",
    "retrain_requests": "number",
    "replays": "number",
    "probes": "number",
    "interventions": "number",
    "outbox": "number",
}
RENAMED = {"asked": "retrain_requests"}
"""Tables that a later release calls otherwise."""


def test_every_released_schema_has_a_ledger_here() -> None:
    assert [f"schema-{number}.sql" for number in RELEASED] == sorted(path.name for path in DUMPS.iterdir())
    assert RELEASED[-1] + 1 == SCHEMA_VERSION


@pytest.fixture(params=RELEASED)
def released(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def old_url(released: int, tmp_path: Path) -> str:
    """A ledger that a release left, in a file."""
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript((DUMPS / f"schema-{released}.sql").read_text())
    return f"sqlite:///{file}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def old(request: pytest.FixtureRequest, released: int, old_url: str) -> str:
    """The same ledger on each engine; no release before this one had it on a server, but later ones will."""
    if request.param == "sqlite":
        return old_url
    url: str = request.getfixturevalue("postgresql").new_schema()
    engine = make_engine(url)
    with engine.begin() as connection:
        migrate(connection, 0, released)
        found = MetaData()
        found.reflect(connection)
        for name, rows in rows_of(old_url).items():
            if rows and name != "schema_version":
                connection.execute(found.tables[name].delete())  # `identity` is filled by its migration
                connection.execute(found.tables[name].insert(), rows)
        for table, number in NUMBERED.items():
            if table not in found.tables:
                continue
            last = f"SELECT setval(pg_get_serial_sequence('{table}', '{number}'), max({number})) FROM {table}"  # noqa: S608
            connection.exec_driver_sql(last)
    engine.dispose()
    return url


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """All that a ledger holds, by table, with the values as Python has them."""
    engine = make_engine(url)
    found = MetaData()
    with engine.begin() as connection:
        found.reflect(connection)
        rows = {name: _rows(connection.execute(select(table))) for name, table in found.tables.items()}
    engine.dispose()
    return rows


def _rows(result: Any) -> list[dict[str, Any]]:
    return sorted((dict(row._mapping) for row in result), key=repr)


def differences(engine: Engine) -> list[Any]:
    """Where the tables are not those of `consumer.database.tables`."""
    with engine.begin() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        return found


def test_a_ledger_of_an_earlier_release_has_lost_nothing(old: str) -> None:
    before = rows_of(old)
    open_ledger(old).close()
    after = rows_of(old)
    assert after.pop("schema_version") == [{"version": SCHEMA_VERSION}]
    del before["schema_version"]
    assert before["changes"]
    assert before["offsets"]
    assert before["dead_letters"]
    cycle_of = {(row["kind"], row["number"]): row["cycle_id"] for row in after["portions"]}
    for kind, name in (("users", "changes"), ("labels", "label_changes")):
        for row in after[name]:
            row["cycle_id"] = cycle_of[kind, row["portion"]]  # which is what a row itself said up to schema 5
    for name, rows in before.items():
        found = after[RENAMED.get(name, name)]
        kept = [{column: row[column] for column in before[name][0]} for row in found] if rows else found
        assert sorted(kept, key=repr) == rows, name
    assert all((row["status"], row["published"]) == ("open", False) for row in after["dead_letters"])


def test_its_tables_are_those_of_a_new_one(old: str) -> None:
    with closing(open_ledger(old)) as ledger:
        assert differences(ledger.engine) == []


def test_a_cycle_that_an_earlier_release_left_running_goes_on(old: str) -> None:
    with closing(open_ledger(old)) as ledger:
        claim = ledger.cycles.running()
        assert claim is not None
        assert claim.users == ("ada", "bo", "cy", "di")
        assert ledger.views.backlog().users == 2
        assert ledger.views.miscounted() == []
        assert (claim.accept, claim.best_since, claim.lineage.unchanged_users) == ((), (), 0)
        assert claim.last_promoted_cycle == "c000001-11fcc2f7"
        lease = ledger.leases.take("we", None, 1.0)
        assert lease is not None
        registered = CycleResult(
            cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="better", base_version=1, version=2
        )
        assert ledger.cycles.settle(registered, 2000.0, fence=lease.token)
        following = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 2001.0, fence=lease.token)
        assert following.users == ("ada", "eve")
        assert ledger.views.miscounted() == []
        assert following.lineage.offsets == {"notifications": {1: (2**40 + 500, 2**40 + 502)}}
        (replay,) = ledger.replays.every()
        assert (replay["ranges"], replay["outcome"]) == ({"notifications": {0: ((40, 42),)}}, "registered")
        assert claim.lineage.replayed == {"notifications": {0: ((40, 42),)}}
        assert [letter.reason for letter in ledger.letters.find(Which(status=None), 9)] == ["gone", "no JSON"]


def test_a_dead_letter_of_an_earlier_release_is_known_again_and_another_in_its_place_is_not(old: str) -> None:
    with closing(open_ledger(old)) as ledger:
        place, at = Position("notifications", 0, 44), ledger.letters.find(Which(stage="decode"), 1)[0].event_at
        for value in (b"\xff\xfe{", b"\xff\xfe["):
            letter = DeadLetter(place, at, b"k\0", value, (("h", b"\xfe"),), "decode", "no JSON")
            ledger.intake.record_replay({}, 1, Batch(received_at=1.0, dead=[letter]))
        values = [ledger.letters.get(number) for number in ledger.letters.ids(Which(stage="decode"))]
        assert [stored.letter.value for stored in values if stored] == [b"\xff\xfe{", b"\xff\xfe["]


def test_what_was_asked_of_an_earlier_release_is_still_asked_for(old: str) -> None:
    with closing(open_ledger(old)) as ledger:
        assert ledger.retrain_requests.open("schedule") is CycleKind.FULL
        assert ledger.retrain_requests.taken_up(1) == "c000001-11fcc2f7"
        asked = ledger.retrain_requests.ask(CycleKind.INCREMENTAL, "operator", 3000.0)
        assert ledger.retrain_requests.taken_up(asked) is None
        assert ledger.retrain_requests.open("operator") is CycleKind.INCREMENTAL


@pytest.mark.parametrize("old", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("released", [5], indirect=True)
def test_letters_that_told_of_one_record_several_times_are_kept_and_it_is_known_again(old: str) -> None:
    """Earlier releases knew a record without a usable time by when it was read."""
    engine = make_engine(old)
    with engine.begin() as connection:
        found = Table("dead_letters", MetaData(), autoload_with=connection)
        row: dict[str, Any] = {"topic": "notifications", "partition": 0, "offset": 7, "headers": [], "stage": "decode"}
        row |= {"value": b"{", "reason": "no JSON", "digest": digest(None, b"{", []), "published": False}
        for at in (2000.5, 3000.5, 4000.5):
            connection.execute(found.insert().values(row | {"event_at": at, "at": at}))
    engine.dispose()
    letter = DeadLetter(Position("notifications", 0, 7), 5000.0, None, b"{", (), "decode", "no JSON", timestamp=-1)
    with closing(open_ledger(old)) as ledger:
        known = ledger.letters.ids(Which())
        assert len(known) == 5
        ledger.intake.record_replay({}, 1, Batch(received_at=5000.0, dead=[letter]))
        assert ledger.letters.ids(Which()) == known


def test_the_steps_from_nothing_make_the_tables_of_a_new_ledger(ledger_url: str) -> None:
    engine = make_engine(ledger_url)
    with engine.begin() as connection:
        migrate(connection, 0)
    assert differences(engine) == []
    engine.dispose()
    open_ledger(ledger_url, create=False).close()


def test_a_new_ledger_has_the_tables_that_the_code_speaks_of(ledger_url: str) -> None:
    with closing(open_ledger(ledger_url)) as ledger:
        assert differences(ledger.engine) == []
        with ledger.engine.begin() as connection:
            Table("gaps", MetaData()).drop(connection)
        assert differences(ledger.engine) != []


def test_looking_changes_nothing_and_names_the_way_out(old: str, released: int) -> None:
    before = rows_of(old)
    with pytest.raises(
        OldLedger, match=f"schema {released}, this release needs {SCHEMA_VERSION}: `retrainer run` brings it up"
    ):
        open_ledger(old, create=False)
    assert rows_of(old) == before


def test_where_there_is_nothing_looking_makes_nothing(ledger_url: str) -> None:
    for _ in range(2):
        with pytest.raises(NoLedger, match="nothing has run here yet"):
            open_ledger(ledger_url, create=False)


@pytest.mark.parametrize("create", [True, False])
def test_a_ledger_of_a_later_release_is_refused(ledger_url: str, create: bool) -> None:
    with closing(open_ledger(ledger_url)) as first, first.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    with pytest.raises(
        LedgerError, match=f"schema 99, this release needs {SCHEMA_VERSION}: use the release that made it"
    ):
        open_ledger(ledger_url, create=create)


@pytest.mark.full
def test_of_several_who_open_at_once_one_migrates_and_all_go_on(old: str) -> None:
    _open_at_once(old)
    assert rows_of(old)["schema_version"] == [{"version": SCHEMA_VERSION}]


def test_of_several_who_open_nothing_at_once_one_makes_it_and_all_go_on(ledger_url: str) -> None:
    _open_at_once(ledger_url)
    assert rows_of(ledger_url)["schema_version"] == [{"version": SCHEMA_VERSION}]


def test_who_opens_during_a_long_migration_waits_for_its_end(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.database.engine.BUSY_SECONDS", 0.01)  # of SQLite; what follows is PostgreSQL's
    impatient = old if "?" not in old else f"{old}%20-clock_timeout%3D10ms"
    other = make_engine(old)
    with capture_logs() as lines, ThreadPoolExecutor(1) as pool:
        with other.begin() as migration:
            opened = pool.submit(open_ledger, impatient)
            wait_until(lambda: opened.done() or len(lines) > 1, 30, "the other to be refused twice")
            assert not opened.done()
            migrate(migration, migration.scalar(select(schema_version.c.version)) or 0)
        opened.result().close()
    other.dispose()
    assert {line["event"] for line in lines} == {LEDGER_IN_OTHER_HANDS}


def _open_at_once(url: str) -> None:
    ready = threading.Barrier(4)

    def opened(_: int) -> Ledger:
        ready.wait()
        return open_ledger(url)

    with ThreadPoolExecutor(4) as pool:
        for ledger in pool.map(opened, range(4)):
            assert ledger.views.read().events >= 0
            ledger.close()


def test_a_step_that_fails_leaves_the_ledger_as_it_was(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows_of(old)
    monkeypatch.setattr("consumer.database.migrations.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr("consumer.database.migrations.migrate.__defaults__", (SCHEMA_VERSION + 1,))
    with pytest.raises(ModuleNotFoundError):  # the first steps are made, and then undone
        open_ledger(old)
    assert rows_of(old) == before


def test_a_ledger_that_is_up_to_date_needs_no_alembic(tmp_path: Path) -> None:
    program = "import sys; from consumer.ledger.ledger import open_ledger as o; o(sys.argv[1]).close(); o(sys.argv[1])"
    program += "; sys.exit('alembic' in sys.modules or 'mako' in sys.modules)"
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    subprocess.run([sys.executable, "-c", program, url], check=True)
