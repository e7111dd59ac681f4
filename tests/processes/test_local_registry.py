"""The local registry after a crash, and with a writer who was stopped: half a copy is nobody's version, damage is seen
before it is used, and nobody waits for one whose token is outdated."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from schemas.fault_points import POINT_VARIABLE, SIGNAL_VARIABLE, Point
from stores.errors import RegistryError, StaleFence
from stores.registry.local import LocalModelRegistry
from stores.registry.local_index import made_by
from tests.contract.test_model_registry import staged
from tests.waiting import wait_until


def test_what_a_crash_left_half_copied_is_no_version(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    half = tmp_path / "registry" / "m" / ".incoming-0"
    half.mkdir()
    (half / "two_tower_model.keras").write_text("ha")
    assert registry.versions() == []
    assert registry.register(staged(tmp_path, "c1")).version == 1
    assert not half.exists()


def test_a_folder_without_a_manifest_keeps_its_number(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    (tmp_path / "registry" / "m" / "3").mkdir()
    assert registry.versions() == []
    assert registry.register(staged(tmp_path, "c1")).version == 4


def test_a_version_of_another_release_does_not_stand_in_the_way(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    registry.register(staged(tmp_path, "c1"))
    (tmp_path / "registry" / "m" / "1" / "manifest.json").write_text('{"format": 2}')
    assert registry.versions() == []
    assert registry.register(staged(tmp_path, "c2")).version == 2
    with pytest.raises(RegistryError, match="not a manifest of this release"):
        registry.fetch(1)


def test_damage_is_found_on_fetching(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    registry.register(staged(tmp_path, "c1"))
    (tmp_path / "registry" / "m" / "1" / "two_tower_model.keras").write_text("rotten!")
    with pytest.raises(RegistryError, match="damaged or changed"):
        registry.fetch(1)


_REGISTERS = """
import sys
from pathlib import Path
from schemas.fault_points import Point, reached
from stores.registry.files import read_manifest
from stores.registry.local import LocalModelRegistry

registry = LocalModelRegistry(Path(sys.argv[1]), "m")
registry.enter(5)
reached(Point.REGISTER_PERMITTED)
print(registry.register(Path(sys.argv[2]), 5).version)
"""


@contextmanager
def stopped_at(point: Point, root: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with token 5 that registers `folder` and was stopped at `point`."""
    command = [sys.executable, "-c", _REGISTERS, str(root), str(folder)]
    environment = {**os.environ, POINT_VARIABLE: point, SIGNAL_VARIABLE: "SIGSTOP"}
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            seen = psutil.Process(process.pid)
            wait_until(lambda: seen.status() == psutil.STATUS_STOPPED, 30, "it to be stopped")
            yield process
        finally:
            process.kill()


def woken(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it says when it goes on."""
    process.send_signal(signal.SIGCONT)
    said, errors = process.communicate(timeout=150)
    return said.strip(), errors


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", [Point.REGISTER_PERMITTED, Point.REGISTER_COPIED])
def test_nobody_waits_for_a_writer_who_was_stopped_and_when_it_wakes_it_is_refused(
    tmp_path: Path, point: Point
) -> None:
    folder, successor = staged(tmp_path, "c1"), LocalModelRegistry(tmp_path / "registry", "m")
    with stopped_at(point, tmp_path / "registry", folder) as stalled:
        successor.enter(6)
        assert successor.find("c1") is None
        said, errors = woken(stalled)
        assert (said, stalled.returncode) == ("", 1)
        assert "token 6, ours is 5" in errors
    assert successor.versions() == []
    assert successor.register(folder, 6).version == 1
    left = {path.name for path in (tmp_path / "registry" / "m").glob(".*")} - {".lock-5"}
    assert left == {".fence-6", ".lock-6", ".cycle-1-c1"}


@pytest.mark.timeout(300)
def test_a_version_of_a_writer_who_was_stopped_right_after_is_found(tmp_path: Path) -> None:
    folder, successor = staged(tmp_path, "c1"), LocalModelRegistry(tmp_path / "registry", "m")
    with stopped_at(Point.REGISTER_RENAMED, tmp_path / "registry", folder) as stalled:
        successor.enter(6)
        assert successor.register(folder, 6).version == 1
        assert woken(stalled)[0] == "1"
    assert len(successor.versions()) == 1


def test_a_writer_who_is_outdated_while_it_copies_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor came by before there was anything to take away."""
    stalled, successor = (LocalModelRegistry(tmp_path / "registry", "m") for _ in range(2))
    stalled.enter(5)
    copy = shutil.copytree

    def overtaken(*arguments: Any) -> Any:
        successor.enter(6)
        return copy(*arguments)

    monkeypatch.setattr(shutil, "copytree", overtaken)
    with pytest.raises(StaleFence, match="token 6, ours is 5"):
        stalled.register(staged(tmp_path, "c1"), 5)
    assert successor.versions() == []
    assert not list((tmp_path / "registry" / "m").glob(".incoming-*"))


def test_tokens_do_not_go_back_whoever_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another enters between the look of one and its mark."""
    first, second = (LocalModelRegistry(tmp_path / "registry", "m") for _ in range(2))
    look = LocalModelRegistry._check

    def overtaken(registry: LocalModelRegistry, fence: int) -> None:
        look(registry, fence)
        if fence == 6:
            second.enter(7)

    monkeypatch.setattr(LocalModelRegistry, "_check", overtaken)
    first.enter(6)
    monkeypatch.undo()
    with pytest.raises(StaleFence, match="token 7, ours is 6"):
        first.register(staged(tmp_path, "c1"), 6)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions whose manifest was looked at, by the name of their folder."""
    found: list[str] = []

    def counted(folder: Path) -> str | None:
        found.append(folder.name)
        return made_by(folder)

    monkeypatch.setattr("stores.registry.local.made_by", counted)
    return found


def test_however_many_versions_there_are_a_cycle_is_looked_up_by_name(tmp_path: Path, read: list[str]) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    for number in range(1, 21):
        registry.register(staged(tmp_path, f"c{number}"))
    read.clear()
    assert registry.find("c99") is None
    assert read == []
    assert registry.register(staged(tmp_path, "c21")).version == 21
    assert read == []
    found = registry.find("c7")
    assert found is not None
    assert (found.version, found.manifest.cycle_id) == (7, "c7")
    assert read == ["7"]


def test_versions_of_an_earlier_release_are_looked_at_until_the_next_cycle(tmp_path: Path, read: list[str]) -> None:
    registry, folder = LocalModelRegistry(tmp_path / "registry", "m"), tmp_path / "registry" / "m"
    for number in range(1, 4):
        registry.register(staged(tmp_path, f"c{number}"))
    for note in folder.glob(".cycle-*"):
        note.unlink()
    read.clear()
    assert registry.register(staged(tmp_path, "c2")).version == 2
    assert set(read) == {"2", "3"}
    registry.enter(1)
    read.clear()
    assert registry.find("c1") is not None
    assert registry.find("c9") is None
    assert read == ["1"]


def test_versions_that_were_deleted_or_put_there_by_hand_are_told_apart(tmp_path: Path) -> None:
    registry, folder = LocalModelRegistry(tmp_path / "registry", "m"), tmp_path / "registry" / "m"
    for number in range(1, 4):
        registry.register(staged(tmp_path, f"c{number}"))
    shutil.rmtree(folder / "3")
    assert registry.find("c3") is None
    assert registry.register(staged(tmp_path, "c4")).version == 3  # the number of one that is gone
    assert registry.find("c3") is None
    found = registry.find("c4")
    assert found is not None
    assert found.version == 3
    (folder / "1").rename(folder / "9")
    found = registry.find("c1")
    assert found is not None
    assert found.version == 9
    assert registry.register(staged(tmp_path, "c1")).version == 9
    registry.enter(1)
    assert not (folder / ".cycle-1-c1").exists()


def test_a_note_whose_version_never_came_is_nobody_s(tmp_path: Path) -> None:
    registry, folder = LocalModelRegistry(tmp_path / "registry", "m"), tmp_path / "registry" / "m"
    (folder / ".cycle-1-c1").touch()
    assert registry.find("c1") is None
    assert registry.register(staged(tmp_path, "c2")).version == 1
    assert registry.find("c1") is None
    assert registry.find("c2") is not None


def test_a_cycle_whose_name_is_none_for_a_file_is_found_all_the_same(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    registry.register(staged(tmp_path, "c 1"))
    found = registry.find("c 1")
    assert found is not None
    assert registry.register(staged(tmp_path, "c 1")) == found


def test_of_many_versions_a_message_names_the_newest(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    for number in range(1, 41):
        (tmp_path / "registry" / "m" / str(number)).mkdir()
    with pytest.raises(RegistryError, match="it has 36, 37, 38, 39, 40 and 35 earlier ones"):
        registry.fetch(99)
