"""Lists, saves, deletes and tags the entries of one model in the registry, through the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hopsworks_common.client.exceptions import ModelRegistryException
from hsml.core.dataset_api import DatasetApi

from stores.errors import ClusterUnreachable, NotThere, Refused, RegistryError
from stores.hopsworks.dataset import Dataset
from stores.hopsworks.failures import code_of
from stores.hopsworks.session import Session
from stores.hopsworks.training_data import Recorded

FILES = "Files"

_NO_TAG_SCHEMA = 370000


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the registry. The files of the version are in `folder`, below `Files`."""

    version: int
    created: str
    """When the entry was made: it distinguishes the version from an earlier one with the same number."""
    description: str
    folder: str
    model: Any
    """The SDK's object."""

    @property
    def files(self) -> str:
        """The folder of the model's files."""
        return f"{self.folder}/{FILES}"


class Models:
    """The entries of one model, and the folders that belong to them."""

    def __init__(self, session: Session, name: str) -> None:
        self.name = name
        self.dataset = Dataset(session)
        self._session = session
        self._registry: Any = None

    @property
    def folder(self) -> str:
        """The folder that holds the folders of the versions; the first save makes it."""
        return f"/Projects/{self._session.cluster.project}/Models/{self.name}"

    def entries(self) -> list[Entry]:
        """All entries, by version.

        Raises:
            RegistryError: the project has no model registry.
            ClusterError: the registry could not be asked.
        """
        what = f"list the versions of {self.name}"
        registry = self._opened()
        found = self._session.ask(what, lambda: registry.get_models(self.name))
        entries = [self._entry(model) for model in found if model.name == self.name]
        return sorted(entries, key=lambda entry: entry.version)

    def save(
        self,
        files: Path,
        metrics: Mapping[str, float],
        description: str,
        await_registration: float,
        version: int | None = None,
        training_data: Recorded | None = None,
    ) -> None:
        """Have the SDK upload a folder and make an entry for it, under the next free number where `version` is None.

        The entry names the training dataset, where there is one. Not repeatable.

        Raises:
            ClusterError: the SDK failed; what was done before is not known.
        """
        registry = self._opened()
        model = registry.tensorflow.create_model(
            self.name,
            version=version,
            metrics=dict(metrics),
            description=description,
            feature_view=training_data.view if training_data else None,
            training_dataset_version=training_data.version if training_data else None,
        )
        # Private: nothing public stops the SDK's clean-up. A test fails where a later SDK has this attribute elsewhere.
        model._model_engine._dataset_api = _Keeping()

        def save() -> None:
            model.save(str(files), await_registration=await_registration, keep_original_files=True)

        self._session.once(f"save a version of {self.name}", save)

    def delete(self, entry: Entry) -> None:
        """Delete an entry and its folder, if the registry still has the same entry.

        Raises:
            ClusterError: the entry is not known to be gone.
        """
        what = f"delete version {entry.version} of {self.name}"
        registry = self._opened()

        def attempt() -> None:
            # Checked before every try: where an answer was lost, the number may be another writer's by now.
            now = self._session.once(what, lambda: registry.get_model(self.name, entry.version))
            if now is None or self._entry(now).created != entry.created:
                return
            self.dataset.make(entry.folder)  # the server removes the folder first, and fails where there is none
            try:
                self._session.once(what, now.delete)
            except NotThere:
                return

        self._session.ask(what, attempt)

    def tag(self, entry: Entry, name: str, value: Mapping[str, Any]) -> str | None:
        """Set a tag on an entry; returns None, or why the cluster does not accept the tag.

        Raises:
            ClusterError: the tag is not known to be set.
        """

        def attempt() -> str | None:
            try:
                entry.model.add_tag(name, dict(value))
            except Exception as error:
                if code_of(error) == _NO_TAG_SCHEMA:
                    return f"the cluster has no schema for a tag {name}; an administrator can make one"
                raise
            return None

        try:
            return self._session.ask(f"tag version {entry.version} of {self.name}", attempt)
        except Refused as error:
            return str(error)

    def untag(self, entry: Entry, name: str) -> None:
        """Remove a tag from an entry, if the entry has the tag.

        Raises:
            ClusterError: the tag is not known to be gone.
        """
        what = f"take the tag {name} from version {entry.version} of {self.name}"

        def attempt() -> None:
            if entry.model.get_tag(name) is not None:
                entry.model.delete_tag(name)

        try:
            self._session.ask(what, attempt)
        except NotThere:
            return

    def _entry(self, model: Any) -> Entry:
        version = int(model.version)
        return Entry(
            version=version,
            created=str(model.created),
            description=str(model.description or ""),
            folder=f"{self.folder}/{version}",
            model=model,
        )

    def _opened(self) -> Any:
        """The SDK's registry, which stays usable after the login is renewed."""
        if self._registry is None:
            what = f"open the model registry of {self._session.cluster.project}"
            self._registry = self._session.ask(what, self._open)
        return self._registry

    def _open(self) -> Any:
        try:
            return self._session.project.get_model_registry()
        except ModelRegistryException:
            # The SDK raises this for every error; a strict look at the folder finds out which one it was.
            models = f"/Projects/{self._session.cluster.project}/Models"
            if self.dataset.stat(models) is None:
                raise RegistryError(
                    f"project {self._session.cluster.project} has no Models dataset, so no model registry;"
                    " enable serving in the project's settings, which makes it"
                ) from None
            raise ClusterUnreachable("the model registry did not open") from None


class _Keeping(DatasetApi):  # type: ignore[misc]
    """Prevents the clean-up of the SDK's `save`: a save that fails removes whatever is at the path of its version.

    The path may by then hold the complete version of a faster writer, or the files of an entry whose answer was lost.
    `stores.registry.hopsworks.saving` removes what a failed save leaves behind, after a look at what is there.
    """

    def rm(self, remote_path: str) -> None:
        """Remove nothing."""
