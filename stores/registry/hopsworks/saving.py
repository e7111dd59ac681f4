"""Saving a version: each cycle registers at most once, whatever fails in between (P2).

A save has three parts in the cluster: a numbered folder, the files in it, and the entry of the registry. Each part may
fail, and the SDK's error does not say which parts were done. So after each try, failed or not, `Saver` asks the
registry what it has of the cycle. A complete version is the result. What is broken is removed before the next try:

- An entry without files. The server deletes an entry only together with its folder, so the folder is made again first.
- A folder without an entry. It is removed if it has the marker of this cycle; other folders may be uploads of other
  writers. If all files are there, the entry may still come, so `Saver` waits for it up to `settle_for` seconds. After
  that the files are removed and the empty folder stays: the number is taken, and an entry that comes even later finds
  no files of another version.

Right before a removal, `Saver` looks again: another process may have completed the version in the meantime. A small gap
remains. A process may stall between that look and its request to remove; if its successor registers the same number in
that time, the request removes the successor's files. The cluster offers no conditional removal that would close the
gap.

Two things stay behind for good: empty folders, and broken uploads of cycles that nobody resumes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.manifest import MANIFEST_FILE, ModelManifest
from stores.errors import ClusterError, RegistryError
from stores.hopsworks.models import FILES, Entry, Models
from stores.hopsworks.training_data import Recorded, TrainingData
from stores.model_registry import RegisteredVersion
from stores.registry.hopsworks.cache import VersionCache
from stores.registry.hopsworks.naming import describe, marker_of, metrics_of
from stores.registry.hopsworks.versions import Versions

_LOOK_EVERY = 1.0  # seconds between looks for an entry that may still come
_PAUSE = (0.2, 1.5)  # seconds between tries, random: two writers that collided once must not collide again


class Saver:
    """Saves versions of one model, one at a time.

    Args:
        models: entries and folders of the model in the cluster.
        versions: tells complete versions from broken ones.
        cache: the folder of this machine that uploads are laid out in.
        attempts: how often a save is tried.
        await_registration: seconds that the SDK waits for the entry after an upload.
        settle_for: seconds to wait for the entry of a folder whose files are all there.
        training_data: makes and finds the datasets that entries name; None where they name none.
    """

    def __init__(
        self,
        models: Models,
        versions: Versions,
        cache: VersionCache,
        *,
        attempts: int,
        await_registration: float,
        settle_for: float,
        training_data: TrainingData | None = None,
    ) -> None:
        self._models = models
        self._versions = versions
        self._cache = cache
        self._attempts = attempts
        self._await_registration = await_registration
        self._settle_for = settle_for
        self._training_data = training_data

    def save(self, folder: Path, manifest: ModelManifest, min_version_exclusive: int = 0) -> RegisteredVersion:
        """The cycle's version: the one that it has, or a new one, with a number higher than `min_version_exclusive`.

        The caller holds the writer's lock of this machine.

        Raises:
            ClusterError: the cluster could not be asked, and nothing was tried.
            RegistryError: all tries failed, or the cluster does not say whether the last try worked.
        """
        found = self._reconciled(manifest.cycle_id)
        failure: ClusterError | None = None
        named = self._training_data.of(manifest) if self._training_data is not None and found is None else None
        for attempt in range(self._attempts):
            if found is not None:
                return found
            if attempt:
                time.sleep(random.uniform(*_PAUSE))  # noqa: S311
            failure = self._try(folder, manifest, min_version_exclusive, named)
            try:
                found = self._reconciled(manifest.cycle_id)
            except ClusterError as error:
                raise RegistryError(
                    f"whether cycle {manifest.cycle_id} is registered is not known: {error}; nothing is lost, the cycle"
                    " is resumed under its id and asks first"
                ) from failure
        if found is None:
            said = f"; the last one said: {failure}" if failure else ""
            raise RegistryError(
                f"cycle {manifest.cycle_id} is not registered after {self._attempts} tries{said}"
            ) from failure
        return found

    def _try(
        self, folder: Path, manifest: ModelManifest, min_version_exclusive: int, named: Recorded | str | None
    ) -> ClusterError | None:
        with self._cache.scratch("outgoing") as outgoing:
            _lay_out(folder, manifest, outgoing)
            try:
                wanted = self._number(min_version_exclusive)
                said = (
                    f"{describe(manifest)}\nNo training dataset: {named}"
                    if isinstance(named, str)
                    else describe(manifest)
                )
                data = named if isinstance(named, Recorded) else None
                self._models.save(outgoing, metrics_of(manifest), said, self._await_registration, wanted, data)
            except ClusterError as error:
                return error
        return None

    def _number(self, min_version_exclusive: int) -> int | None:
        """The number to take; None where the SDK, which counts on from the folders, takes a high enough one itself."""
        if max(self._folders(), default=0) >= min_version_exclusive:
            return None
        return max([min_version_exclusive, *(entry.version for entry in self._models.entries())]) + 1

    def _reconciled(self, cycle_id: str) -> RegisteredVersion | None:
        """The complete version of the cycle; None once no broken part of the cycle is left in the way of a save."""
        deadline = time.monotonic() + self._settle_for
        while True:
            folders = self._folders()  # read before the entries, so that an entry made in between is seen
            entries = self._models.entries()
            if (complete := self._cleared(cycle_id, entries)) is not None:
                return complete
            coming = self._whole_orphans(cycle_id, folders - {entry.version for entry in entries})
            if not coming:
                return None
            if time.monotonic() >= deadline and all(self._empty(version, cycle_id) for version in coming):
                return None
            time.sleep(min(_LOOK_EVERY, self._settle_for))

    def _folders(self) -> set[int]:
        nodes = self._models.dataset.children(self._models.folder) or []
        return {int(node.name) for node in nodes if node.folder and node.name.isdecimal()}

    def _cleared(self, cycle_id: str, entries: Sequence[Entry]) -> RegisteredVersion | None:
        """The first complete version of the cycle; broken entries of the cycle are deleted."""
        complete: RegisteredVersion | None = None
        for owned in self._versions.of(cycle_id, entries):
            if owned.upload.state == "broken":
                self._models.delete(owned.entry)
            complete = complete or owned.registered
        return complete

    def _whole_orphans(self, cycle_id: str, orphans: Iterable[int]) -> list[int]:
        """Of the folders without an entry but with the cycle's marker, those with all files; the others are removed."""
        whole: list[int] = []
        for version in sorted(orphans):
            if self._models.dataset.stat(self._marker(version, cycle_id)) is None:
                continue
            if self._is_whole(version, cycle_id) or not self._remove(version, cycle_id):
                whole.append(version)
        return whole

    def _is_whole(self, version: int, cycle_id: str) -> bool:
        return self._versions.examine(f"{self._models.folder}/{version}/{FILES}", cycle_id).state == "complete"

    def _remove(self, version: int, cycle_id: str) -> bool:
        """Remove a broken upload; False where another process has completed it in the meantime."""
        folder, marker = f"{self._models.folder}/{version}", self._marker(version, cycle_id)
        return self._models.dataset.remove(folder, marker, lambda: self._is_whole(version, cycle_id))

    def _empty(self, version: int, cycle_id: str) -> bool:
        """Remove the files of a folder whose entry never came; False where the entry is there by now."""
        files, marker = f"{self._models.folder}/{version}/{FILES}", self._marker(version, cycle_id)
        return self._models.dataset.remove(files, marker, lambda: self._versions.numbered(version) is not None)

    def _marker(self, version: int, cycle_id: str) -> str:
        return f"{self._models.folder}/{version}/{FILES}/{marker_of(cycle_id)}"


def _lay_out(folder: Path, manifest: ModelManifest, outgoing: Path) -> None:
    """Lay out what is uploaded: links to the files in `folder`, and the marker of the cycle."""
    for path in (MANIFEST_FILE, *(entry.path for entry in manifest.files)):
        (outgoing / path).parent.mkdir(parents=True, exist_ok=True)
        (outgoing / path).symlink_to((folder / path).resolve())
    (outgoing / marker_of(manifest.cycle_id)).mkdir()
