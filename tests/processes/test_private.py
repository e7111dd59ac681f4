"""What people did is for the owner's eyes: ledger, status, requests; and models are for whoever serves them."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consumer import status
from consumer.cycles.trainer_process import TrainerProcess
from consumer.ledger.ledger import open_ledger
from consumer.lock import only_one
from consumer.positions import Partition
from consumer.status import Status, write_status
from retrainer.bridge.state import BridgeState
from schemas.cycle import CycleKind, CycleRequest, Lineage
from schemas.private import private_file, private_folder
from stores import files
from stores.files import keep_private, share, shared
from tests.worlds import trainer_settings

STATUS = Status(1, "x", 0, 0, None, None, None)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The usual one, whatever it is here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if mode(path) & 0o077]


def test_a_state_folder_and_what_lies_in_it_is_the_owner_s_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "var"
    with only_one(folder), closing(open_ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
        ledger.intake.start_at({Partition("t", 0): 0}, 0.0)
        write_status(folder / "status.json", STATUS)
        private_folder(folder / "bridge")
        BridgeState(folder / "bridge" / "state.db").close()
        assert {path.name for path in folder.iterdir()} >= {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
        assert mode(folder) == 0o700
        assert open_to_others(folder) == []
    assert mode(tmp_path / "new") == 0o755  # that is not ours to say


def test_what_an_earlier_release_left_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    url = f"sqlite:///{folder / 'ledger.db'}"
    with closing(open_ledger(url)) as ledger:
        ledger.intake.start_at({Partition("t", 0): 0}, 0.0)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        (folder / "retrainer.lock").touch()
        with only_one(folder), closing(open_ledger(url)) as again:
            assert mode(folder) == 0o700
            assert open_to_others(folder) == []
            again.intake.start_at({Partition("t", 1): 0}, 0.0)
        ledger.intake.start_at({Partition("t", 2): 0}, 0.0)


def test_looking_at_a_ledger_changes_no_mode(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{file}").close()
    file.chmod(0o644)
    open_ledger(f"sqlite:///{file}", create=False).close()
    assert mode(file) == 0o644


@pytest.mark.parametrize("shared_in_it", ["registry", "feature_store.db"])
def test_who_had_a_way_to_the_registry_in_it_keeps_it(tmp_path: Path, shared_in_it: str) -> None:
    (tmp_path / shared_in_it).mkdir()
    tmp_path.chmod(0o755)
    with only_one(tmp_path):
        assert mode(tmp_path) == 0o711
    tmp_path.chmod(0o700)
    with only_one(tmp_path):
        assert mode(tmp_path) == 0o700


def test_a_ledger_that_is_open_keeps_its_locks_when_it_is_made_sure_of(tmp_path: Path) -> None:
    """To close a file takes away every lock of the process on it, SQLite's too (POSIX)."""
    file = tmp_path / "ledger.db"
    private_file(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        file.chmod(0o644)
        private_file(file)
        assert mode(file) == 0o600
        look = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT 1 FROM t')"
        seen = subprocess.run([sys.executable, "-c", look, file], capture_output=True, text=True, check=False)
        assert "locked" in seen.stderr


def test_the_status_in_memory_is_the_owner_s_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(status, "_IN_MEMORY", memory)
    assert write_status(tmp_path / "nowhere" / "status.json", STATUS) is not None
    (file,) = memory.iterdir()
    assert mode(file) == 0o600


def test_a_request_is_the_owner_s_alone(tmp_path: Path) -> None:
    request = CycleRequest(
        cycle_id="c1",
        kind=CycleKind.BOOTSTRAP,
        reason="the test says so",
        base_version=None,
        users=("somebody",),
        lineage=Lineage(offsets={}, changed_users=1),
        settings=trainer_settings(tmp_path),
    )
    trainer = TrainerProcess(lambda: None)
    trainer.give(tmp_path / "work" / "cycles" / "c1", request)
    trainer.kill()
    trainer.stop(0)
    assert open_to_others(tmp_path / "work") == []
    assert mode(tmp_path / "work") == 0o700


def test_an_open_file_that_is_written_anew_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.touch()
    private_file(file).write_text("{}")
    assert mode(file) == 0o600
    with pytest.raises(FileExistsError):
        private_file(file, new=True)


def test_a_trainer_keeps_what_it_makes_to_itself_but_for_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_before", [])
    keep_private()
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "model.keras").touch()
    assert mode(tmp_path / "staged") == 0o700
    assert mode(tmp_path / "staged" / "model.keras") == 0o600
    with shared():
        (tmp_path / "registry").mkdir()
    share(tmp_path / "staged")
    assert mode(tmp_path / "registry") == mode(tmp_path / "staged") == 0o755
    assert mode(tmp_path / "staged" / "model.keras") == 0o644
    (tmp_path / "after").touch()
    assert mode(tmp_path / "after") == 0o600
