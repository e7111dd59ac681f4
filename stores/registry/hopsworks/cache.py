"""Downloads from the registry, kept on disk: manifests, and the folders of the versions used last.

A key is the version's number and the time of its entry: after a version was deleted, its number may be given out again.
A rename puts files in place, so a killed process leaves nothing that looks whole.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from stores.files import flush_folder, replacing

_KEPT = 4
"""Folders that are kept although no process holds them: the champion, the baseline, and earlier ones for a rollback."""


class VersionCache:
    """A folder of this machine. Processes may share it.

    An object that was asked for the files of a version holds their folder as long as the object lives, and no process
    drops a folder that is held: a cycle compares with more versions than are kept, and opens their files late.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._manifests = self._folder / "manifests"
        self._versions = self._folder / "files"
        self._held: dict[str, int] = {}
        weakref.finalize(self, _let_go, self._held)
        for needed in (self._manifests, self._versions):
            needed.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """One thread of one process at a time."""
        with (self._folder / f".{what}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty folder, removed afterwards; leftovers of a killed process are removed. The caller holds a lock."""
        folder = self._folder / f".{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def manifest(self, key: str) -> bytes | None:
        """A manifest that was kept."""
        try:
            return (self._manifests / f"{key}.json").read_bytes()
        except FileNotFoundError:
            return None

    def keep_manifest(self, key: str, content: bytes) -> None:
        """Keep a manifest."""
        with self.locked("manifests"), replacing(self._manifests / f"{key}.json") as file:
            file.write(content)

    def forget_manifests(self, but: Collection[str]) -> None:
        """Drop the manifests of versions that are gone."""
        with self.locked("manifests"):
            for path in self._manifests.glob("*.json"):
                if path.stem not in but:
                    path.unlink(missing_ok=True)

    def tagged(self) -> set[int]:
        """The versions that may have the champion's tag, as far as this machine has set the tag."""
        try:
            return set(map(int, (self._folder / "tagged").read_text().split()))
        except (FileNotFoundError, ValueError):
            return set()

    def keep_tagged(self, versions: Collection[int]) -> None:
        """Remember which versions may have the champion's tag."""
        with replacing(self._folder / "tagged") as file:
            file.write(" ".join(map(str, sorted(versions))).encode())

    def files(self, key: str) -> Path:
        """The folder of a version's files, whether or not the folder is there."""
        return self._versions / key

    def keep_files(self, key: str, downloaded: Path) -> Path:
        """Put downloaded files in place of damaged ones, if any, and hold them; see `hold`.

        Of the folders that no process holds, the least recently used are dropped.
        """
        place = self.files(key)
        shutil.rmtree(place, ignore_errors=True)
        downloaded.rename(place)
        flush_folder(self._versions)
        self.hold(key)
        for old in sorted(self._versions.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)[_KEPT:]:
            _drop_unless_held(old)
        return place

    def hold(self, key: str) -> None:
        """Note that a version is in use. Its folder stays as long as this object lives, or its process."""
        now = time.time_ns()  # times that the file system sets itself are as coarse as the kernel's tick
        os.utime(self.files(key), ns=(now, now))
        handle = os.open(self.files(key), os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_SH)
        _let_go({key: before} if (before := self._held.get(key)) is not None else {})
        self._held[key] = handle


def _drop_unless_held(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)


def _let_go(held: dict[str, int]) -> None:
    for handle in held.values():
        os.close(handle)


def key_of(version: int, created: str) -> str:
    """The key of an entry in the cache."""
    return f"{version}-{re.sub(r'[^0-9A-Za-z]+', '-', created)}"
