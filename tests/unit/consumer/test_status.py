"""The status file where it can be written, and where it cannot."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consumer import status
from consumer.status import ServiceState, Status, read_status, write_status

NOW = time.time()
WELL = Status(pid=1, state="listening", written_at=NOW, polled_at=NOW, lag=0, hold=None, cycle=None)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(status, "_IN_MEMORY", memory)
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "status.json"


@pytest.fixture
def unwritable(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The state folder takes nothing, as a full or a read-only disk."""
    opened = Path.open

    def refusing(path: Path, mode: str = "r", *more: object, **named: object) -> object:
        if mode != "r" and path.parent == file.parent:
            raise OSError(28, "No space left on device", str(path))
        return opened(path, mode, *more, **named)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refusing)
        yield


def test_it_lies_in_the_state_folder_and_nowhere_else(file: Path, tmp_path: Path) -> None:
    assert read_status(file) is None
    assert write_status(file, WELL) is None
    assert read_status(file) == WELL
    assert not list((tmp_path / "memory").iterdir())


def test_where_the_state_folder_takes_nothing_it_lies_in_memory_and_the_old_one_stays_whole(
    file: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    write_status(file, WELL)
    before = file.read_text()
    request.getfixturevalue("unwritable")
    later = replace(WELL, written_at=NOW + 5, trouble="disk full")
    assert "No space left on device" in (write_status(file, later) or "")
    assert file.read_text() == before
    assert read_status(file) == later


def test_when_there_is_room_again_the_one_in_memory_goes(file: Path, tmp_path: Path) -> None:
    elsewhere = status._elsewhere(file)
    write_status(elsewhere, WELL)
    again = replace(WELL, written_at=NOW + 9, state=ServiceState.STOPPED)
    assert write_status(file, again) is None
    assert read_status(file) == again
    assert not list((tmp_path / "memory").iterdir())


def test_the_word_of_a_stranger_is_not_taken(file: Path) -> None:
    write_status(file, WELL)
    elsewhere = status._elsewhere(file)
    write_status(elsewhere, replace(WELL, written_at=NOW + 5, state="all is well"))
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(elsewhere, 12345, 12345)
    assert read_status(file) == WELL


def test_where_nothing_can_be_written_it_says_so(file: Path, unwritable: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_IN_MEMORY", file.parent)
    with pytest.raises(OSError, match="No space left"):
        write_status(file, WELL)
