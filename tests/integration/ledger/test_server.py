"""The ledger on a PostgreSQL in trouble: waits are bounded, who stalls loses the lock, a restart is survived."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.database.engine import reading
from consumer.errors import LedgerError, NoLedger
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.listener import Listener
from consumer.positions import Partition, Position
from consumer.settings import Settings, load_settings
from retrainer.cli import app
from schemas.events import Operation
from tests.brokers.apache_kafka import free_port
from tests.databases import postgresql as databases
from tests.databases.postgresql import PASSWORD, PostgreSQL
from tests.integration.topics import Topic
from tests.waiting import wait_until, within
from tests.worlds import GROUP, names

P0 = Partition("t", 0)


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.new_schema()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with closing(open_ledger(url)) as opened:
        opened.intake.start_at({P0: 0}, 0.0)
        yield opened


def hurried(url: str, **timeouts: str) -> str:
    """The same ledger, with shorter patience."""
    return url + "".join(f"%20-c{name}%3D{value}" for name, value in timeouts.items())


def event(offset: int) -> Batch:
    batch = Batch(received_at=1.0, progress={P0: (offset, offset + 1)}, events={P0: 1})
    batch.add(f"u{offset}", Operation.UPSERT, str(Position("t", 0, offset)), 1.0)
    return batch


@contextmanager
def writing(ledger: Ledger) -> Iterator[None]:
    """Somebody else who holds the write lock while the block runs."""
    holding, done = Event(), Event()

    def hold() -> None:
        with ledger.engine.begin():
            holding.set()
            done.wait(30)

    thread = Thread(target=hold)
    thread.start()
    try:
        assert holding.wait(10)
        yield
    finally:
        done.set()
        thread.join()


def test_waits_are_bounded_unless_the_address_says_otherwise(ledger: Ledger, url: str) -> None:
    def shown(opened: Ledger, name: str) -> Any:
        with opened.engine.begin() as connection:
            return connection.exec_driver_sql(f"SHOW {name}").scalar()

    assert shown(ledger, "lock_timeout") == "5s"
    assert shown(ledger, "statement_timeout") == "2min"
    assert shown(ledger, "tcp_user_timeout") == "10000"
    ours = url.replace("-cidle_in_transaction_session_timeout%3D5min", "")
    assert ours != url
    with closing(open_ledger(ours, create=False)) as other:
        assert shown(other, "idle_in_transaction_session_timeout") == "10s"
    with closing(open_ledger(hurried(url, lock_timeout="7s"), create=False)) as other:
        assert shown(other, "lock_timeout") == "7s"
        assert shown(other, "statement_timeout") == "2min"


def test_a_writer_who_waits_too_long_gives_up_and_may_come_again(ledger: Ledger, url: str) -> None:
    with closing(open_ledger(hurried(url, lock_timeout="100ms"))) as other:
        with writing(ledger):
            for _ in range(3):
                with pytest.raises(DBAPIError, match="lock timeout"):
                    other.intake.record(event(0))
            assert other.intake.positions("t") == {P0: 0}
        other.intake.record(event(0))
    assert ledger.intake.positions("t") == {P0: 1}


def test_a_writer_who_waited_sees_what_the_other_wrote(ledger: Ledger, url: str) -> None:
    with closing(open_ledger(url)) as other:
        with ledger.engine.begin() as connection:
            waiting = Thread(target=other.intake.record, args=(event(1),))
            waiting.start()
            wait_until(lambda: _waiting(ledger), 10, "the other to wait for the lock")
            connection.exec_driver_sql("UPDATE offsets SET next_offset = 1")
        waiting.join()
    assert ledger.intake.positions("t") == {P0: 2}


def _waiting(ledger: Ledger) -> bool:
    with ledger.engine.execution_options(reading=True).begin() as connection:
        waiting = connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        return bool(waiting.scalar())


def test_ledgers_in_two_schemas_do_not_wait_for_each_other(ledger: Ledger, postgresql: PostgreSQL) -> None:
    other_url = hurried(postgresql.new_schema(), lock_timeout="100ms")
    with writing(ledger), closing(open_ledger(other_url)) as other:
        other.intake.start_at({P0: 5}, 0.0)
        assert other.intake.positions("t") == {P0: 5}
    assert ledger.intake.positions("t") == {P0: 0}


def test_a_reader_sees_one_moment_and_cannot_write(ledger: Ledger) -> None:
    count = text("SELECT next_offset FROM offsets")
    with reading(ledger.engine) as connection:
        assert connection.scalar(count) == 0
        ledger.intake.record(event(0))
        assert connection.scalar(count) == 0
    with pytest.raises(DBAPIError, match="read-only"), reading(ledger.engine) as connection:
        connection.execute(text("UPDATE offsets SET next_offset = 7"))
    assert ledger.intake.positions("t") == {P0: 1}
    ledger.intake.record(event(1))  # the connection goes back as it was


_STALLS = """
import sys
from consumer.ledger.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
with ledger.engine.begin() as connection:
    connection.exec_driver_sql("UPDATE offsets SET next_offset = 999")
    print("holding", flush=True)
    sys.stdin.readline()
print("committed", flush=True)
"""


def test_a_holder_that_stalls_in_a_transaction_loses_it_and_cannot_commit_when_it_wakes(
    ledger: Ledger, url: str
) -> None:
    patience = hurried(url, idle_in_transaction_session_timeout="500ms")
    command = [sys.executable, "-c", _STALLS, patience]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as holder:  # type: ignore[call-overload]
        try:
            assert holder.stdout.readline() == "holding\n"
            os.kill(holder.pid, signal.SIGSTOP)
            with within(5):
                ledger.intake.record(event(0))  # waits for the lock, and gets it
        finally:
            os.kill(holder.pid, signal.SIGCONT)
        output, errors = holder.communicate("wake up\n", timeout=150)
    assert output == ""
    assert "idle-in-transaction" in errors
    assert ledger.intake.positions("t") == {P0: 1}


def test_a_server_that_was_restarted_is_no_trouble_and_one_that_is_away_comes_back() -> None:
    with databases.postgresql() as server, closing(open_ledger(server.url())) as ledger:
        ledger.intake.start_at({P0: 0}, 0.0)
        ledger.intake.record(event(0))
        server.stop()
        server.start()
        ledger.intake.record(event(1))  # on a connection that the server had closed meanwhile
        with pytest.raises(DBAPIError):
            _write_while(ledger, server.kill)
        with pytest.raises(DBAPIError):
            ledger.intake.record(event(2))
        server.start()
        ledger.intake.record(event(2))
        assert ledger.intake.positions("t") == {P0: 3}


def _write_while(ledger: Ledger, something: Callable[[], None]) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE offsets SET next_offset = 999")
        something()
        connection.exec_driver_sql("UPDATE offsets SET next_offset = 1000")


@pytest.mark.full
def test_a_listener_polls_on_while_its_ledger_is_away_and_reads_on_when_it_is_back(
    tansu_address: str, tmp_path: Path
) -> None:
    topic = Topic.new(tansu_address)
    kafka = {"bootstrap_servers": [tansu_address], "topic": topic.name, "group_id": topic.name}
    settings = Settings(
        state_dir=tmp_path,
        feature_group=GROUP,
        kafka=KafkaSettings(**kafka, session_timeout_ms=6000),
    )
    with databases.postgresql() as server, closing(open_ledger(server.url())) as ledger:
        listener = Listener(settings, ledger.intake, Clock(), lambda: None)
        listener.start()
        try:
            topic.send_users(names(200))
            wait_until(lambda: ledger.views.read().events == 200, 40, "the first events")
            server.kill()
            topic.send_users(names(200, start=200))
            away_since = time.time()
            wait_until(lambda: listener.status.polled_at > away_since + 1.5, 20, "polls while the server is away")
            server.start()
            wait_until(lambda: ledger.views.read().events >= 400, 40, "the rest of the events")
        finally:
            listener.stop()
            listener.join(100)
        assert listener.failure is None
        assert ledger.views.read().events == ledger.views.backlog().users == 400


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    with pytest.raises(LedgerError) as refused:
        open_ledger(f"postgresql://retrainer:hush@127.0.0.1:{free_port()}/ledger")
    assert "cannot open the ledger postgresql://retrainer:***@127.0.0.1" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_wrong_password_is_told_and_not_shown(postgresql: PostgreSQL) -> None:
    with pytest.raises(LedgerError, match="password authentication failed") as refused:
        open_ledger(postgresql.url().replace("%20p%40", "%20q%40"))
    assert "ssword" not in str(refused.value).replace("password", "")


def test_status_tells_of_a_ledger_on_a_server_and_not_its_password(
    postgresql: PostgreSQL, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RETRAINER_LEDGER__URL", url.replace(f":{quote(PASSWORD, safe='')}@", "@"))
    monkeypatch.setenv("RETRAINER_LEDGER__PASSWORD_FILE", str(tmp_path / "password"))
    refused = CliRunner().invoke(app, ["status"])
    assert refused.exit_code == 1
    assert isinstance(refused.exception, NoLedger)
    assert "RETRAINER_LEDGER__URL is another" in str(refused.exception)
    assert PASSWORD not in str(refused.exception)
    open_ledger(load_settings().ledger.url).close()
    found = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert found["ledger"].startswith("postgresql://retrainer:***@127.0.0.1:")
    assert found["pending"]["users"] == 0
    assert not (tmp_path / "state").exists()
