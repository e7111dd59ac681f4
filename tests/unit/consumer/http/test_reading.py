"""The ledger that HTTP asks has connections of its own, and they are small."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from consumer.database.engine import reading
from consumer.http.reading import LedgerDoor
from consumer.ledger.ledger import open_ledger


def test_a_connection_keeps_little_of_the_file_in_memory(tmp_path: Path) -> None:
    """Each would keep two megabytes once the ledger is as large: with eight threads the service grew for hours."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_ledger(url).close()
    with closing(LedgerDoor(url)) as door, reading(door().engine) as one, reading(door().engine) as other:
        for connection in (one, other):
            assert connection.scalar(text("PRAGMA cache_size")) == -256  # in KiB
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
