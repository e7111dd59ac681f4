"""Registering a cycle once, whatever happens meanwhile.

Whether a save worked is never taken from what the SDK raised: after any outcome the registry is asked for the cycle.
Its version counts when it is complete. What is broken is taken back before the next try:

- an entry whose files are gone: its folder is made again, as the server wants it, and the entry deleted;
- a folder without an entry, if it bears the sign of this cycle, so that no other writer's upload in progress can be
  meant. When all its files are there, its registration may be on its way, so it is waited for first; and its number is
  then left taken by an empty folder, so that an entry that comes even later finds no files of another version there.

Whatever is removed is looked at once more right before, at every try: the successor of a stalled process may have made
it whole. More cannot be had, as the cluster removes what it is told to: a process that is stalled between that look and
its request, and wakes after its successor has registered under the same number, removes that. Left behind for good
are folders without files, and uploads that broke off of cycles that nobody resumes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.manifest import MANIFEST_FILE, ModelManifest
from stores.errors import ClusterError, RegistryError
from stores.hopsworks.models import FILES, Entry, Models
from stores.model_registry import RegisteredVersion
from stores.registry.hopsworks.cache import VersionCache
from stores.registry.hopsworks.naming import describe, metrics_of, sign_of
from stores.registry.hopsworks.versions import Versions

_LOOK_EVERY = 1.0  # seconds, for an entry that may yet come
_PAUSE = (0.2, 1.5)  # seconds between tries, drawn, for two writers who collide must not do so again


class Saver:
    """Saves versions of one model, one at a time."""

    def __init__(
        self,
        models: Models,
        versions: Versions,
        cache: VersionCache,
        *,
        attempts: int,
        await_registration: float,
        settle_for: float,
    ) -> None:
        self._models = models
        self._versions = versions
        self._cache = cache
        self._attempts = attempts
        self._await_registration = await_registration
        self._settle_for = settle_for

    def save(self, folder: Path, manifest: ModelManifest, min_version_exclusive: int = 0) -> RegisteredVersion:
        """The cycle's version: the one that it has, or a new one, with a number higher than `min_version_exclusive`.

        The caller holds the lock of writers.

        Raises:
            ClusterError: the cluster could not be asked, and nothing was tried.
            RegistryError: it did not work out, or it is not known whether it did.
        """
        found = self._settled(manifest.cycle_id)
        failure: ClusterError | None = None
        for attempt in range(self._attempts):
            if found is not None:
                return found
            if attempt:
                time.sleep(random.uniform(*_PAUSE))  # noqa: S311
            failure = self._try(folder, manifest, min_version_exclusive)
            try:
                found = self._settled(manifest.cycle_id)
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

    def _try(self, folder: Path, manifest: ModelManifest, min_version_exclusive: int) -> ClusterError | None:
        with self._cache.scratch("outgoing") as outgoing:
            _lay_out(folder, manifest, outgoing)
            try:
                wanted = self._number(min_version_exclusive)
                self._models.save(outgoing, metrics_of(manifest), describe(manifest), self._await_registration, wanted)
            except ClusterError as error:
                return error
        return None

    def _number(self, min_version_exclusive: int) -> int | None:
        """The number to take; None where the SDK, which counts on from the folders, takes a high enough one itself."""
        if max(self._folders(), default=0) >= min_version_exclusive:
            return None
        return max([min_version_exclusive, *(entry.version for entry in self._models.entries())]) + 1

    def _settled(self, cycle_id: str) -> RegisteredVersion | None:
        """The cycle's version if it is complete; otherwise nothing of the cycle is left that a save could meet."""
        deadline = time.monotonic() + self._settle_for
        while True:
            folders = self._folders()  # before the entries: a folder whose entry comes between has one then
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
        """The first complete version of the cycle; its broken entries are deleted."""
        complete: RegisteredVersion | None = None
        for owned in self._versions.of(cycle_id, entries):
            if owned.upload.state == "broken":
                self._models.delete(owned.entry)
            complete = complete or owned.registered
        return complete

    def _whole_orphans(self, cycle_id: str, orphans: Iterable[int]) -> list[int]:
        """Those folders without an entry that bear the cycle's sign and have all files; others that bear it go."""
        whole: list[int] = []
        for version in sorted(orphans):
            if self._models.dataset.stat(self._sign(version, cycle_id)) is None:
                continue
            if self._is_whole(version, cycle_id) or not self._remove(version, cycle_id):
                whole.append(version)
        return whole

    def _is_whole(self, version: int, cycle_id: str) -> bool:
        return self._versions.examine(f"{self._models.folder}/{version}/{FILES}", cycle_id).state == "complete"

    def _remove(self, version: int, cycle_id: str) -> bool:
        """Remove what broke off; False where somebody has made it whole meanwhile, while this process was stalled."""
        folder, sign = f"{self._models.folder}/{version}", self._sign(version, cycle_id)
        return self._models.dataset.remove(folder, sign, lambda: self._is_whole(version, cycle_id))

    def _empty(self, version: int, cycle_id: str) -> bool:
        """Empty what waits for an entry in vain; False where it has one by now."""
        files, sign = f"{self._models.folder}/{version}/{FILES}", self._sign(version, cycle_id)
        return self._models.dataset.remove(files, sign, lambda: self._versions.numbered(version) is not None)

    def _sign(self, version: int, cycle_id: str) -> str:
        return f"{self._models.folder}/{version}/{FILES}/{sign_of(cycle_id)}"


def _lay_out(folder: Path, manifest: ModelManifest, outgoing: Path) -> None:
    """What is uploaded: the files, as links to those in `folder`, and the sign of the cycle."""
    for path in (MANIFEST_FILE, *(entry.path for entry in manifest.files)):
        (outgoing / path).parent.mkdir(parents=True, exist_ok=True)
        (outgoing / path).symlink_to((folder / path).resolve())
    (outgoing / sign_of(manifest.cycle_id)).mkdir()
