"""Training datasets of a cluster: what its monitoring compares the features of a model with.

A cycle that trains from scratch reads every user, and makes a version: the cluster copies the rows of the group, as
they are then, into a Parquet file. A cycle that follows the champion names the version of the cycle whose space it
goes on with. The description of a version says which cycle made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from schemas.manifest import ModelManifest
from stores.errors import StoreError
from stores.hopsworks.groups import find_group
from stores.hopsworks.online import ensure_view
from stores.hopsworks.session import Session


@dataclass(frozen=True, slots=True)
class Recorded:
    """A version of a training dataset; `view` is the SDK's feature view."""

    view: Any
    version: int


class TrainingData:
    """The training datasets of one group's feature view, which is made where it is missing."""

    def __init__(self, session: Session, settings: HopsworksStore, group: FeatureGroup) -> None:
        self._session = session
        self._settings = settings
        self._group = group

    def of(self, manifest: ModelManifest) -> Recorded | str:
        """The version that a model's entry is to name, made now where that is this cycle's part; or why there is none.

        Nobody goes without a model for want of it. A version that a killed process left is written once more, as its
        rows may be missing.
        """
        space = manifest.space.space_id
        try:
            view = self._session.ask(f"find the feature view of {self._group.name}", self._view)
            found = self._session.ask(f"list the training datasets of {view.name}", lambda: _made_by(view, space))
            if manifest.kind.from_scratch:
                return Recorded(view, self._written(view, found, space))
        except StoreError as error:
            return str(error)
        return Recorded(view, found) if found is not None else f"cycle {space}, which made the space, has none"

    def _view(self) -> Any:
        return ensure_view(self._session, self._settings, self._group, find_group(self._session, self._group))

    def _written(self, view: Any, found: int | None, space: str) -> int:
        what = f"write a training dataset of {view.name}"
        options = {"arrow_flight_config": {"timeout": self._settings.query_timeout}, "wait_for_job": True}
        if found is not None:
            self._session.once(what, lambda: view.recreate_training_dataset(found, write_options=options))
            return found

        def create() -> int:
            version, _job = view.create_training_data(
                description=_words(space), data_format="parquet", write_options=options
            )
            return int(version)

        return self._session.once(what, create)


def _words(space: str) -> str:
    return f"Retrainer cycle {space}"


def _made_by(view: Any, space: str) -> int | None:
    """The newest version that a cycle made.

    Private: the public list asks for the schema of every version, a request each, and leaves out the descriptions.
    """
    listed = view._feature_view_engine._feature_view_api._get_training_datasets(view.name, view.version)
    return max((int(one.version) for one in listed if one.description == _words(space)), default=None)
