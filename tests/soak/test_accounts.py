"""The accounts of a soak: a ledger that adds up, and each way in which one may not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from consumer.database.tables import changes, cycles, dead_letters, learned, metadata, offsets, portions, versions
from tests.soak.accounts import Accounts, compare

TOPIC: dict[str, Any] = {
    "ends": [5],
    "kinds": {"listener-": 3, "song-": 1, "garbage-": 1},
    "last": {"listener-1": [0, 1], "listener-2": [0, 4]},
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Five records stored; a version has learned the first three, which one of the two users is in."""
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    metadata.create_all(engine)
    there = {"topic": "t", "partition": 0}
    times = dict.fromkeys(("first_event_at", "last_event_at", "fresh_since", "received_at"), 0.0)
    with engine.begin() as db:
        counts = {"next_offset": 5, "settled_offset": 3, "events": 5, "ignored": 1}
        db.execute(insert(offsets).values(**there, **counts, updated_at=0.0))
        lineage = {"offsets": {"t": {"0": [0, 3]}}}
        told = {"kind": "bootstrap", "reason": "no version yet", "state": "registered", "claimed_at": 0.0}
        db.execute(insert(cycles).values(cycle_id="c1", lineage=lineage, settled=True, **told))
        db.execute(insert(versions).values(version=1, cycle_id="c1", registered_at=0.0))
        db.execute(insert(learned).values(user_id="listener-1", received_at=0.0))
        positions = {"first_position": "t[0]@4", "last_position": "t[0]@4"}
        change = {"portion": 1, "user_id": "listener-2", "operation": "upsert", "events": 1, **positions, **times}
        db.execute(insert(changes).values(**change))
        db.execute(insert(portions).values(kind="users", number=1, cycle_id="", rows=1, untried=1))
        letter = {"offset": 3, "event_at": 0.0, "headers": {}, "stage": "decode", "reason": "no event", "at": 0.0}
        letter |= {"digest": "", "topic_id": ""}
        db.execute(insert(dead_letters).values(**there, **letter))
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        yield connection


def test_accounts_that_add_up(ledger: sqlite3.Connection) -> None:
    assert compare(ledger, TOPIC, registered=1) == Accounts(records=5, users=2, pending=1, lost=0, problems=())


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        ("DELETE FROM changes", "1 users are neither pending nor learned: listener-2"),
        ("DELETE FROM learned", "1 users are neither pending nor learned: listener-1"),
        ("UPDATE offsets SET next_offset = 4", "partition 0 ends at 5, the ledger at 4"),
        ("UPDATE offsets SET settled_offset = 4", "partition 0 is settled to 4, its versions reach 3"),
        ("UPDATE offsets SET ignored = 0", "of other groups: 1 on the topic, 0 in the ledger"),
        ("DELETE FROM dead_letters", "dead letters: 1 on the topic, 0 in the ledger"),
        (
            """UPDATE cycles SET lineage = '{"offsets": {"t": {"0": [1, 3]}}}'""",
            "c1 begins at 1 in partition 0, not at 0",
        ),
        ("DELETE FROM versions", "1 cycles registered, 0 versions in the ledger, 1 in the registry"),
    ],
)
def test_accounts_that_do_not_add_up(ledger: sqlite3.Connection, spoil: str, problem: str) -> None:
    ledger.execute(spoil)
    assert problem in compare(ledger, TOPIC, registered=1).problems


def test_a_user_learned_before_the_last_event_is_lost_unless_pending(ledger: sqlite3.Connection) -> None:
    later = {**TOPIC, "last": {"listener-1": [0, 3], "listener-2": [0, 4]}}
    assert compare(ledger, later, registered=1).lost == 1


def test_a_user_found_unchanged_is_not_lost(ledger: sqlite3.Connection) -> None:
    ledger.execute("DELETE FROM changes")
    ledger.execute("INSERT INTO learned (user_id, received_at) VALUES ('listener-2', 0)")
    assert compare(ledger, TOPIC, registered=1).lost == 1
    columns = "cycle_id, kind, reason, state, lineage, attempts, claimed_at, settled"
    lineage = """'{"offsets": {"t": {"0": [3, 5]}}}'"""
    ledger.execute(f"INSERT INTO cycles ({columns}) VALUES ('c2', 'full', 'x', 'unchanged', {lineage}, 0, 0, 1)")  # noqa: S608
    assert compare(ledger, TOPIC, registered=1) == Accounts(records=5, users=2, pending=0, lost=0, problems=())


def test_a_version_that_retention_has_deleted_is_not_looked_for(ledger: sqlite3.Connection) -> None:
    ledger.execute("UPDATE versions SET deleted_at = 9.0")
    assert compare(ledger, TOPIC, registered=0).problems == ()
    told = "1 cycles registered, 1 versions in the ledger (1 of them deleted), 1 in the registry"
    assert told in compare(ledger, TOPIC, registered=1).problems


def test_a_version_that_was_registered_twice_is_a_problem(ledger: sqlite3.Connection) -> None:
    assert compare(ledger, TOPIC, registered=2).problems
