"""The doctor changes nothing, ever: every file, every row and every time is the same before and after."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consumer.dead_letters.letter import DeadLetter
from consumer.errors import LedgerError
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import open_ledger
from consumer.ledger.looking import look
from consumer.positions import Partition, Position
from consumer.settings import Settings
from consumer.status import Status, write_status
from retrainer.doctor.checks import Result, Severity
from retrainer.doctor.examination import Examination
from schemas.events import Operation
from schemas.labels import LabelGroup
from stores.features.local import LocalFeatureStore
from stores.labels.local import Label, LocalLabelStore
from stores.sqlite_readonly import connect
from tests.worlds import GROUP, World, names

LABELS = LabelGroup(name="follows")
Seen = dict[str, tuple[object, ...]]


def seen(folder: Path) -> Seen:
    """Everything below a folder, and the folder: what it is, when it was written, what it holds."""
    found: Seen = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        about = path.stat()
        held = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (about.st_ino, about.st_mode, about.st_mtime_ns, about.st_size, held)
    return found


def examined(settings: Settings) -> dict[str, Result]:
    return {result.name: result for result in Examination(lambda: settings).results()}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("retrainer.doctor.brokers.BOOTSTRAP_MS", 300)
    (tmp_path / "state").mkdir()
    return Settings(
        state_dir=tmp_path / "state",
        feature_group=GROUP,
        labels=LABELS,
        kafka={"bootstrap_servers": ["127.0.0.1:9"]},
    )


def fill(settings: Settings) -> None:
    path = settings.state_dir / "feature_store.db"
    with closing(LocalFeatureStore(path, GROUP)) as store, closing(LocalLabelStore(path, LABELS)) as labels:
        store.commit(World().rows(names(5)))
        labels.commit({("u1", "u2"): Label("follow", time.time())})
    with closing(open_ledger(settings.ledger.url)) as ledger:
        record(ledger, 0)
    now = time.time()
    write_status(
        settings.status_file,
        Status(pid=1, state="listening", written_at=now, polled_at=now, lag=0, hold=None, cycle=None),
    )
    (settings.state_dir / "registry").mkdir()


def record(ledger: object, at: int) -> None:
    """One more pending user, and a dead letter."""
    place = Partition("t", 0)
    intake = ledger.intake  # type: ignore[attr-defined]
    intake.start_at({place: at}, 0.0)
    batch = Batch(received_at=time.time(), progress={place: (at, at + 2)}, events={place: 2})
    batch.add(f"u{at}", Operation.UPSERT, f"t[0]@{at}", time.time())
    batch.dead.append(DeadLetter(Position("t", 0, at + 1), time.time(), b"k", b"v", (), "decode", "bad"))
    intake.record(batch)


def killed_at_work(settings: Settings) -> None:
    """A writer of ledger and store was killed: what it wrote last is in the logs beside the files."""
    process = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(settings,))
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL


def _write_and_die(settings: Settings) -> None:
    ledger = open_ledger(settings.ledger.url)
    record(ledger, 2)
    store = LocalFeatureStore(settings.state_dir / "feature_store.db", GROUP)
    store.commit(World().rows(["late"]))
    os.kill(os.getpid(), signal.SIGKILL)


def without_state(settings: Settings) -> None:
    shutil.rmtree(settings.state_dir)


def without(*files: str) -> Callable[[Settings], None]:
    def removing(settings: Settings) -> None:
        for name in files:
            (settings.state_dir / name).unlink()

    return removing


def read_only(settings: Settings) -> None:
    for path in settings.state_dir.iterdir():
        path.chmod(0o444 if path.is_file() else 0o555)
    settings.state_dir.chmod(0o555)


def old_journal(settings: Settings) -> None:
    """A ledger that somebody copied with the command of SQLite: it is in no mode of ours."""
    with closing(sqlite3.connect(settings.state_dir / "ledger.db")) as db:
        db.execute("PRAGMA journal_mode=DELETE")


def of_an_earlier_release(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.state_dir / "ledger.db")) as db:
        db.execute("UPDATE schema_version SET version = 3")
        db.commit()


def no_ledger_at_all(settings: Settings) -> None:
    (settings.state_dir / "ledger.db").write_bytes(b"not a database" * 100)


def empty_file(settings: Settings) -> None:
    (settings.state_dir / "ledger.db").write_bytes(b"")


STATES: dict[str, Callable[[Settings], None]] = {
    "as it is": lambda _settings: None,
    "killed at work": killed_at_work,
    "no state folder": without_state,
    "no ledger": without("ledger.db"),
    "no store": without("feature_store.db"),
    "no status": without("status.json"),
    "read-only": read_only,
    "another journal": old_journal,
    "an earlier release": of_an_earlier_release,
    "no database": no_ledger_at_all,
    "empty": empty_file,
}


@pytest.mark.full
@pytest.mark.parametrize("state", STATES)
def test_nothing_is_changed_whatever_there_is(settings: Settings, tmp_path: Path, state: str) -> None:
    fill(settings)
    STATES[state](settings)
    before = seen(tmp_path)
    results = examined(settings)
    assert seen(tmp_path) == before
    assert "unexpected" not in " ".join(result.found for result in results.values())


def test_what_a_killed_writer_left_is_told_too(settings: Settings) -> None:
    fill(settings)
    killed_at_work(settings)
    results = examined(settings)
    assert "2 users pending, 2 open dead letters" in results["ledger"].found
    assert "and 6 users" in results["feature group"].found


def test_beside_a_service_at_work_its_files_are_told_as_they_are(settings: Settings) -> None:
    fill(settings)
    with closing(open_ledger(settings.ledger.url)) as ledger:
        record(ledger, 2)
        assert "2 users pending" in examined(settings)["ledger"].found
        record(ledger, 4)
        assert "3 users pending" in examined(settings)["ledger"].found


def test_what_was_seen_while_somebody_wrote_is_asked_again(settings: Settings) -> None:
    fill(settings)
    asked: list[int] = []
    with closing(open_ledger(settings.ledger.url)) as service:

        def ask(ledger: object) -> int:
            users: int = ledger.views.backlog().users  # type: ignore[attr-defined]
            asked.append(users)
            if len(asked) == 1:
                record(service, 2)
            return users

        assert look(settings.ledger.url, ask) == 2
    assert asked == [1, 2]


def test_looking_writes_nothing_even_if_it_tries(settings: Settings) -> None:
    fill(settings)
    with closing(connect(settings.state_dir / "ledger.db")) as db, pytest.raises(sqlite3.OperationalError):
        db.execute("DELETE FROM dead_letters")
    (settings.state_dir / "ledger.db").write_bytes(b"x" * 5000)
    with pytest.raises(LedgerError, match="cannot open the ledger"):
        look(settings.ledger.url, lambda ledger: ledger.views.backlog())


@pytest.mark.parametrize(
    ("labels", "severity", "said"),
    [
        ({("a", "b"): Label("follow", 1.0)}, "ok", "and 1 labels"),
        ({("a", "b"): Label("liked it", 1.0)}, "failed", "refuse every one of 1 rows: label is"),
        ({("a", "b"): Label("follow", 1.0), ("a", "c"): Label(None, 1.0)}, "warning", "refuse 1 of 2 rows"),
        ({}, "ok", "holds no labels yet"),
    ],
)
def test_labels_are_judged_as_a_cycle_would(
    settings: Settings, labels: dict[tuple[str, str], Label], severity: str, said: str
) -> None:
    path = settings.state_dir / "feature_store.db"
    with closing(LocalFeatureStore(path, GROUP)) as store, closing(LocalLabelStore(path, LABELS)) as written:
        store.commit(World().rows(names(5)))
        written.commit(labels)
    found = examined(settings)["label group"]
    assert (found.severity, said in found.found) == (severity, True), found
    other = settings.model_copy(update={"labels": LABELS.model_copy(update={"name": "nowhere"})})
    assert examined(other)["label group"].severity is Severity.FAILED


@pytest.fixture(autouse=True)
def _writable_again(tmp_path: Path) -> Iterator[None]:
    yield
    for path in [tmp_path, *tmp_path.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
