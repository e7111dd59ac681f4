"""The local model registry: `<root>/<model name>/<version>/`, a folder a version, put in place by one rename.

A folder is copied under a name that no version has, flushed to disk, and renamed: a version is there whole or not at
all. Writers with the same token take turns. A new writer does not wait for a writer with an earlier token, which may be
stopped for good: it leaves its own token beside the versions, and removes what earlier writers have copied. An earlier
writer that goes on finds the later token, or nothing to rename any more; what it renamed before counts as a version. A
file name beside the versions says which cycle made which (`stores.registry.local_index`).

A version is deleted by one rename, too, to a name that no version has, and is then removed. Whoever has fetched it
holds it (`stores.registry.holding`). A file name beside the versions says the highest number that a deleted one had.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from schemas.fault_points import Point, reached
from stores.errors import RegistryError, StaleFence, VersionInUse
from stores.files import flush_folder, share, shared
from stores.model_registry import RegisteredVersion, some_of
from stores.registry.files import check_files, read_manifest
from stores.registry.holding import Holding, nobody_holds
from stores.registry.local_index import index_of, made_by, note_in

_INCOMING, _OUTDATED = ".incoming-", ".outdated-"
_FENCE, _LOCK, _HIGHEST = ".fence-", ".lock-", ".highest-"


class LocalModelRegistry:
    """A model registry in a folder. Any number of processes share it, and all see the same at every moment."""

    def __init__(self, root: Path, model_name: str) -> None:
        self._folder = root / model_name
        with shared():
            self._folder.mkdir(parents=True, exist_ok=True)
        self._holding = Holding()

    def find(self, cycle_id: str) -> RegisteredVersion | None:
        """See ModelRegistry."""
        for number in index_of(self._folder).of(cycle_id):
            found = self._version(number) if made_by(self._folder / str(number)) == cycle_id else None
            if found is not None:
                return found
        return None

    def enter(self, fence: int) -> None:
        """See ModelRegistry."""
        self._check(fence)
        with shared():
            (self._folder / f"{_FENCE}{fence}").touch()
        for token, left in self._by_token(_INCOMING):
            if token < fence:
                with suppress(FileNotFoundError):  # it has become a version, or another process removed it
                    left.rename(self._folder / f"{_OUTDATED}{uuid4().hex}")
        for old in [*self._by_token(_FENCE), *self._by_token(_LOCK)]:
            if old[0] < fence:
                old[1].unlink(missing_ok=True)
        self._clear()
        self._put_notes_right()  # after the removal of what was to become a version
        flush_folder(self._folder)  # keeps a version whose writer was killed between its rename and its flush

    def register(self, staged: Path, fence: int = 0, min_version_exclusive: int = 0) -> RegisteredVersion:
        """See ModelRegistry."""
        manifest = check_files(staged)
        incoming = self._folder / f"{_INCOMING}{fence}"
        with self._locked(fence):
            self._check(fence)
            if (existing := self.find(manifest.cycle_id)) is not None:
                return existing
            note: Path | None = None
            shutil.rmtree(incoming, ignore_errors=True)
            try:
                shutil.copytree(staged, incoming)
                share(incoming)  # servers of models read them
                _flush(incoming)
                self._check(fence)  # a writer that enters after this finds the copy, and removes it
                reached(Point.REGISTER_COPIED)
                version = max(min_version_exclusive, self._highest()) + 1
                if (note := note_in(self._folder, version, manifest.cycle_id)) is not None:
                    with shared():
                        note.touch()
                    flush_folder(self._folder)
                incoming.rename(self._folder / str(version))
                reached(Point.REGISTER_RENAMED)
                flush_folder(self._folder)
            except OSError as error:
                if note is not None:
                    note.unlink(missing_ok=True)
                self._check(fence)
                raise RegistryError(f"the registry {self._folder} cannot be written: {_said(error)}") from error
            finally:
                shutil.rmtree(incoming, ignore_errors=True)  # leftovers of a failure; a full disk needs the room
        return RegisteredVersion(version, manifest)

    def fetch(self, version: int) -> Path:
        """See ModelRegistry."""
        folder = self._folder / str(version)
        if not self._holding.hold(folder):
            known = some_of(index_of(self._folder).numbers)
            raise RegistryError(f"{self._folder} has no version {version}; it has {known}")
        check_files(folder)
        return folder

    def delete(self, version: int, cycle_id: str, fence: int = 0) -> None:
        """See ModelRegistry."""
        folder = self._folder / str(version)
        with self._locked(fence):
            self._check(fence)
            if self._is_made_by(version, cycle_id):
                with nobody_holds(folder) as free:
                    if not free:
                        raise VersionInUse(f"version {version} in {self._folder} is in use: a process has it open")
                    self._take_away(version, cycle_id)
        reached(Point.PRUNE_RENAMED)
        self._clear()

    def versions(self) -> list[RegisteredVersion]:
        """See ModelRegistry. A folder whose manifest cannot be read does not count; its number stays taken."""
        found = (self._version(number) for number in sorted(index_of(self._folder).numbers))
        return [version for version in found if version is not None]

    def _version(self, number: int) -> RegisteredVersion | None:
        with suppress(RegistryError):
            return RegisteredVersion(number, read_manifest(self._folder / str(number)))
        return None

    def _is_made_by(self, version: int, cycle_id: str) -> bool:
        """Whether a version is there and is the cycle's: by its manifest, or by its note where that cannot be read."""
        index = index_of(self._folder)
        maker = made_by(self._folder / str(version))
        return version in index.numbers and (maker == cycle_id if maker else (version, cycle_id) in index.notes)

    def _take_away(self, version: int, cycle_id: str) -> None:
        """Rename a version to no version's name, after a note of the highest number, and remove the note of its cycle.

        Raises:
            RegistryError: the folder of the registry cannot be written.
        """
        highest = self._highest()
        try:
            with shared():
                (self._folder / f"{_HIGHEST}{highest}").touch()
            flush_folder(self._folder)
            (self._folder / str(version)).rename(self._folder / f"{_OUTDATED}{uuid4().hex}")
            if (note := note_in(self._folder, version, cycle_id)) is not None:
                note.unlink(missing_ok=True)
            for number, noted in self._by_token(_HIGHEST):
                if number < highest:
                    noted.unlink(missing_ok=True)
            flush_folder(self._folder)
        except OSError as error:
            raise RegistryError(f"version {version} in {self._folder} cannot be deleted: {_said(error)}") from error

    def _highest(self) -> int:
        """The highest number that a version has, or had before it was deleted; 0 before the first."""
        return max([0, *index_of(self._folder).numbers, *(number for number, _ in self._by_token(_HIGHEST))])

    def _clear(self) -> None:
        """Remove what was taken out of place, and what others were killed in the middle of removing."""
        for taken in self._folder.glob(f"{_OUTDATED}*"):
            shutil.rmtree(taken, ignore_errors=True)

    def _put_notes_right(self) -> None:
        """Write the notes of versions that an earlier release made, so that their manifests are read once only."""
        index = index_of(self._folder)
        for stray in index.stray():
            if (note := note_in(self._folder, *stray)) is not None:
                note.unlink(missing_ok=True)
        for number in index.without_note():
            cycle_id = made_by(self._folder / str(number))
            if cycle_id is not None and (note := note_in(self._folder, number, cycle_id)) is not None:
                with shared():
                    note.touch()

    def _check(self, fence: int) -> None:
        """Check that a token is the latest in this folder.

        Raises:
            StaleFence: `fence` is earlier.
        """
        latest = max((token for token, _ in self._by_token(_FENCE)), default=0)
        if fence < latest:
            raise StaleFence(f"{self._folder}: another instance runs cycles now (token {latest}, ours is {fence})")

    def _by_token(self, kind: str) -> list[tuple[int, Path]]:
        named = [(path.name.removeprefix(kind), path) for path in self._folder.glob(f"{kind}*")]
        return [(int(token), path) for token, path in named if token.isdecimal()]

    @contextmanager
    def _locked(self, fence: int) -> Iterator[None]:
        with shared():
            lock = (self._folder / f"{_LOCK}{fence}").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _said(error: OSError) -> str:
    """The text of an error; of the many errors of a copy the first, which causes the others."""
    return str(error.args[0][0][2]) if isinstance(error, shutil.Error) else str(error)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    flush_folder(folder)
