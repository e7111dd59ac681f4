"""A connection to a file keeps few statements prepared: each takes kilobytes, and there are many connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.memory.fresh import told

_GROWN = """
import ctypes, sys
from sqlalchemy import text
from consumer.ledger.ledger import open_ledger

try:
    in_use = ctypes.CDLL("libsqlite3.so.0").sqlite3_memory_used
except OSError:
    sys.exit(print("null"))
in_use.restype = ctypes.c_longlong
with open_ledger(sys.argv[1]).engine.connect() as connection:
    connection.execute(text("SELECT count(*) FROM cycles"))
    before = in_use()
    for number in range(200):
        connection.execute(text(f"SELECT * FROM cycles WHERE number = {number} ORDER BY claimed_at")).all()
    print(in_use() - before)
"""
"""How many bytes SQLite takes for two hundred statements."""


def test_a_connection_that_has_seen_many_statements_keeps_few(tmp_path: Path) -> None:
    grown = told(_GROWN, f"sqlite:///{tmp_path / 'ledger.db'}")
    if grown is None:
        pytest.skip("SQLite is no library of its own here")
    assert 0 < grown < 400_000
