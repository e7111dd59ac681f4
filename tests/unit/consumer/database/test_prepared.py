"""A connection to a file keeps few statements prepared: each takes kilobytes, and there are many connections."""

from __future__ import annotations

import ctypes
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from consumer.ledger.ledger import open_ledger


def in_use() -> int:
    """Bytes that SQLite has in use in this process."""
    try:
        asked = ctypes.CDLL("libsqlite3.so.0").sqlite3_memory_used
    except OSError:
        pytest.skip("SQLite is no library of its own here")
    asked.restype = ctypes.c_longlong
    return int(asked())


def test_a_connection_that_has_seen_many_statements_keeps_few(tmp_path: Path) -> None:
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger, ledger.engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM cycles"))
        before = in_use()
        for number in range(200):
            connection.execute(text(f"SELECT * FROM cycles WHERE number = {number} ORDER BY claimed_at")).all()  # noqa: S608
        assert 0 < in_use() - before < 400_000
