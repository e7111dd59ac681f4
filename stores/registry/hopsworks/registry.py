"""The model registry of a Hopsworks cluster.

The registry numbers the versions; the cycle that made a version identifies it. The ledger keeps the champion, because a
registry of Hopsworks has no aliases and cannot change two entries at once. A tag shows the champion to people there.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from schemas.hopsworks import HopsworksRegistry
from schemas.manifest import MANIFEST_FILE, SAVED_MODEL_FILE
from stores.errors import NotThere, RegistryError
from stores.hopsworks.models import Entry, Models
from stores.hopsworks.session import Session
from stores.hopsworks.training_data import TrainingData
from stores.model_registry import RegisteredVersion, some_of
from stores.registry.files import check_files
from stores.registry.hopsworks.cache import VersionCache, key_of
from stores.registry.hopsworks.deleting import delete_version
from stores.registry.hopsworks.naming import cycle_in
from stores.registry.hopsworks.saving import Saver
from stores.registry.hopsworks.versions import Owned, Versions

_ASKED = 20
"""So many of the newest entries are looked at for the champion's tag, which another machine may have set, and are named
in the message where a version is not there."""
_one_writer = threading.Lock()  # two registries of one process may have different folders, so different file locks


class HopsworksModelRegistry:
    """A model registry in a cluster. `cache` is a folder of this machine for downloads; `training_data` are the
    datasets that versions name, None where they name none.

    Every method may also raise ClusterError: the cluster did not answer, so nothing is known.
    """

    def __init__(
        self,
        session: Session,
        settings: HopsworksRegistry,
        model_name: str,
        cache: Path,
        training_data: TrainingData | None = None,
    ) -> None:
        self._settings = settings
        self._name = model_name
        self._cache = VersionCache(cache)
        self._models = Models(session, model_name)
        self._versions = Versions(self._models, self._cache)
        self._saver = Saver(
            self._models,
            self._versions,
            self._cache,
            attempts=settings.upload_attempts,
            await_registration=settings.await_registration,
            settle_for=settings.settle_for,
            training_data=training_data,
        )

    def find(self, cycle_id: str) -> RegisteredVersion | None:
        """See ModelRegistry."""
        return next((owned.registered for owned in self._versions.of(cycle_id) if owned.registered), None)

    def enter(self, fence: int) -> None:
        """See ModelRegistry. A cluster's registry cannot compare and set, so it keeps no token."""

    def register(self, staged: Path, fence: int = 0, min_version_exclusive: int = 0) -> RegisteredVersion:  # noqa: ARG002
        """See ModelRegistry. One writer at a time on this machine; a collision with another machine is retried."""
        manifest = check_files(staged)
        with _one_writer, self._cache.locked("writer"):
            return self._saver.save(staged, manifest, min_version_exclusive)

    def fetch(self, version: int) -> Path:
        """See ModelRegistry. The folder is a copy on this machine; the copies used last are kept."""
        owned = self._owned(version)
        with self._cache.locked("fetch"):
            return self._kept(owned) or self._downloaded(owned)

    def delete(self, version: int, cycle_id: str, fence: int = 0) -> None:  # noqa: ARG002
        """See ModelRegistry. Copies on machines stay, so whoever has fetched the version goes on."""
        delete_version(self._models, version, cycle_id)

    def versions(self) -> list[RegisteredVersion]:
        """See ModelRegistry."""
        return self._versions.complete()

    def mirror_champion(self, version: int) -> str | None:
        """Tag a version as the champion, and remove the tag from the others.

        Returns:
            None, or why the cluster does not take the tag. That is harmless: the ledger keeps the champion.

        Raises:
            RegistryError: there is no such version.
        """
        owned, tag = self._owned(version), self._settings.tag
        value = {"champion": True, "cycle_id": owned.cycle_id, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        before = self._cache.tagged()
        self._cache.keep_tagged({*before, version})
        if note := self._models.tag(owned.entry, tag, value):
            return note
        # Removed after the new tag is set, so that at every moment a version has it; of two, the later `at` is right.
        # Each entry costs a request, so only the newest and those that this machine has tagged are looked at.
        ours = [entry for entry in self._models.entries() if entry.version != version and cycle_in(entry.description)]
        for entry in [*(entry for entry in ours[:-_ASKED] if entry.version in before), *ours[-_ASKED:]]:
            self._models.untag(entry, tag)
        self._cache.keep_tagged({version})
        return None

    def deployable(self, version: int) -> Entry:
        """The entry of a version that a deployment can serve: one with a SavedModel among its files.

        Raises:
            RegistryError: there is no such version, or it has none.
        """
        owned = self._owned(version)
        assert owned.upload.manifest is not None
        if all(file.path != SAVED_MODEL_FILE for file in owned.upload.manifest.files):
            raise RegistryError(
                f"version {version} of {self._name} has no SavedModel, as it was registered without "
                "RETRAINER_DEPLOYMENT__NAME: the next version has one, `retrainer train --full` makes one now"
            )
        return owned.entry

    def _owned(self, version: int) -> Owned:
        owned = self._versions.numbered(version)
        if owned is None or owned.registered is None:
            known = some_of(self._versions.newest(_ASKED))
            why = f" ({owned.upload.why})" if owned else ""
            raise RegistryError(f"{self._name} in the registry has no version {version}; it has {known}{why}")
        return owned

    def _kept(self, owned: Owned) -> Path | None:
        """The copy on this machine; None where it is damaged, or differs from what is in the registry now."""
        key = key_of(owned.entry.version, owned.entry.created)
        folder = self._cache.files(key)
        try:
            if not folder.is_dir() or check_files(folder) != owned.upload.manifest:
                return None
        except RegistryError:
            return None
        self._cache.hold(key)
        return folder

    def _downloaded(self, owned: Owned) -> Path:
        entry, manifest = owned.entry, owned.upload.manifest
        assert manifest is not None
        with self._cache.scratch("incoming") as folder:
            for path in (MANIFEST_FILE, *(listed.path for listed in manifest.files)):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                try:
                    self._models.dataset.download(f"{entry.files}/{path}", folder / path)
                except NotThere:
                    raise RegistryError(
                        f"version {entry.version} of {self._name} has lost {path} in the meantime"
                    ) from None
            try:
                check_files(folder)
            except RegistryError as error:
                raise RegistryError(f"version {entry.version} of {self._name} is damaged: {error}") from error
            return self._cache.keep_files(key_of(entry.version, entry.created), folder)
