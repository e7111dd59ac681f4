"""Who an instance is: the same after a restart, another in a copy of its state folder."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from consumer import identity as identities
from consumer.identity import identity
from schemas.log_events.service import INSTANCE_ID_NOT_KEPT


def test_an_instance_is_the_same_after_a_restart_whatever_its_host_is_called_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    after = identity(tmp_path)
    assert (after.id, after.name) == (before.id, f"another:{tmp_path}")


def test_two_on_hosts_of_one_name_and_folders_of_one_name_are_two(tmp_path: Path) -> None:
    """As containers with host networking, each with its own volume at the same place, are."""
    place, moved = tmp_path / "state", tmp_path / "elsewhere"
    place.mkdir()
    first = identity(place)
    place.rename(moved)
    place.mkdir()
    second = identity(place)
    assert first.name == second.name
    assert first.folder != second.folder
    assert identity(moved).id == first.id  # a folder that was moved is the same one


def test_a_copy_of_a_state_folder_is_another_instance_and_can_be_told_to_be_a_copy(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    first = identity(original)
    shutil.copytree(original, copy)
    second = identity(copy)
    assert second.id != first.id
    assert second.folder == first.folder
    assert identity(original) == first


def test_a_folder_on_another_machine_or_after_a_reboot_is_another_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = identity(tmp_path)
    (tmp_path / "boot").write_text("another kernel")
    monkeypatch.setattr(identities, "_BOOT", tmp_path / "boot")
    second = identity(tmp_path)
    assert second.id != first.id
    assert second.folder == first.folder
    monkeypatch.setattr(identities, "_BOOT", tmp_path / "none")
    assert identity(tmp_path).id == identity(tmp_path).id != first.id


@pytest.mark.parametrize("left", [b"", b"0123", b"\xff" * 16, b"0123456789abcdeg", b"../../../etc/pass"])
def test_what_a_crash_left_of_an_id_is_replaced(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "instance_id").write_bytes(left)
    made = identity(tmp_path)
    assert identity(tmp_path) == made
    assert (tmp_path / "instance_id").read_text() == made.folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["instance_id"]


def test_a_folder_that_cannot_keep_an_id_gives_one_for_this_run(tmp_path: Path) -> None:
    (tmp_path / "instance_id").mkdir()
    with capture_logs() as said:
        first, second = identity(tmp_path), identity(tmp_path)
    assert first.id != second.id
    assert said[0]["event"] == INSTANCE_ID_NOT_KEPT
