"""The local model registry: `<root>/<model name>/<version>/`, a folder a version, put in place by one rename.

A folder is copied under a name that no version has, flushed to disk, and renamed under a lock: a version is there whole
or not at all, and of two writers one waits. The latest fencing token lies beside them, in `.fence`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from schemas.fault_points import Point, reached
from trainer.errors import RegistryError, StaleFence
from trainer.files import flush_folder, replacing
from trainer.registry.files import check_files, read_manifest
from trainer.registry.protocol import RegisteredVersion

_INCOMING, _FENCE = ".incoming", ".fence"


class LocalModelRegistry:
    """A model registry in a folder, shared by any number of processes on one machine."""

    def __init__(self, root: Path, model_name: str) -> None:
        self._folder = root / model_name
        self._folder.mkdir(parents=True, exist_ok=True)

    def find(self, cycle_id: str) -> RegisteredVersion | None:
        """See ModelRegistry."""
        return next((found for found in reversed(self.versions()) if found.manifest.cycle_id == cycle_id), None)

    def enter(self, fence: int) -> None:
        """See ModelRegistry."""
        with self._locked():
            if fence > self._check(fence):
                with replacing(self._folder / _FENCE) as file:
                    file.write(str(fence).encode())

    def register(self, staged: Path, fence: int = 0, above: int = 0) -> RegisteredVersion:
        """See ModelRegistry."""
        manifest = check_files(staged)
        with self._locked():
            self._check(fence)
            if (existing := self.find(manifest.cycle_id)) is not None:
                return existing
            incoming = self._folder / _INCOMING
            shutil.rmtree(incoming, ignore_errors=True)
            version = max([above, *self._numbers()]) + 1
            try:
                shutil.copytree(staged, incoming)
                _flush(incoming)
                reached(Point.REGISTER_COPIED)
                incoming.rename(self._folder / str(version))
                reached(Point.REGISTER_RENAMED)
                flush_folder(self._folder)
            except OSError as error:
                shutil.rmtree(incoming, ignore_errors=True)  # a full disk needs the room
                raise RegistryError(f"the registry {self._folder} cannot be written: {_said(error)}") from error
        return RegisteredVersion(version, manifest)

    def fetch(self, version: int) -> Path:
        """See ModelRegistry."""
        folder = self._folder / str(version)
        if not folder.is_dir():
            known = ", ".join(map(str, self._numbers())) or "none"
            raise RegistryError(f"{self._folder} has no version {version}; it has {known}")
        check_files(folder)
        return folder

    def versions(self) -> list[RegisteredVersion]:
        """See ModelRegistry. A folder whose manifest cannot be read is none of ours; its number stays taken."""
        found: list[RegisteredVersion] = []
        for number in self._numbers():
            with suppress(RegistryError):
                found.append(RegisteredVersion(number, read_manifest(self._folder / str(number))))
        return found

    def _check(self, fence: int) -> int:
        """The latest token seen here.

        Raises:
            StaleFence: `fence` is an earlier one.
        """
        path = self._folder / _FENCE
        latest = int(path.read_text()) if path.exists() else 0
        if fence < latest:
            raise StaleFence(f"{self._folder}: another instance runs cycles now (token {latest}, ours is {fence})")
        return latest

    def _numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdecimal())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _said(error: OSError) -> str:
    """What an error says; of the many that a copy collects the first, which is the reason of the others."""
    return str(error.args[0][0][2]) if isinstance(error, shutil.Error) else str(error)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    flush_folder(folder)
