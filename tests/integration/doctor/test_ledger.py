"""The doctor looks at a ledger on a server, writes nothing there, and shows no password."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text

from consumer.configuration.ledger import LedgerSettings
from consumer.database.tables import metadata
from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings
from retrainer.doctor.checks import Result
from retrainer.doctor.examination import Examination
from tests.brokers.apache_kafka import free_port
from tests.databases.postgresql import PostgreSQL


def examined(state: Path, url: str) -> dict[str, Result]:
    settings = Settings(
        state_dir=state, ledger=LedgerSettings(url=url), kafka={"bootstrap_servers": [f"127.0.0.1:{free_port()}"]}
    )
    return {result.name: result for result in Examination(lambda: settings).results()}


def everything_in(url: str) -> dict[str, object]:
    """Every row of every table, and what the server counts of writes to them."""
    with closing(open_ledger(url, create=False)) as ledger, ledger.engine.connect() as connection:
        connection = connection.execution_options(reading=True)
        rows: dict[str, object] = {
            table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables
        }
        rows["writes"] = connection.scalar(text("SELECT pg_current_xact_id_if_assigned()"))
    return rows


def test_a_ledger_on_a_server_is_looked_at_without_its_password(
    tmp_path: Path, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrainer.doctor.brokers.BOOTSTRAP_MS", 300)
    url = postgresql.new_schema()
    assert examined(tmp_path, url)["ledger"].found == "none yet; the first start makes it"
    open_ledger(url).close()
    rows = everything_in(url)
    results = examined(tmp_path, url)
    assert (results["ledger"].severity, results["cycles"].severity) == ("ok", "ok")
    assert re.match(r"postgresql://retrainer:\*\*\*@127.0.0.1:.* opens; 0 users pending", results["ledger"].found)
    assert everything_in(url) == rows
    found = examined(tmp_path, f"postgresql://retrainer:hush@127.0.0.1:{free_port()}/ledger")["ledger"]
    assert found.severity == "failed"
    assert "hush" not in found.found
    assert "RETRAINER_LEDGER__URL" in str(found.todo)
