"""Vectors in a feature group with an embedding index: one version of the group for each space.

Columns: the user id, which is the primary key; `query` and `candidate`, of which `candidate` is in the index; and
`model_version`, the version that has these towers first. The description says, as JSON, whose vectors a version of the
group holds and whether they are complete. To change it is one request, so that is the switch: servers take the newest
version of the group that is complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pandas as pd
from hsfs.embedding import EmbeddingIndex, SimilarityFunctionType
from hsfs.feature import Feature

from schemas.jobs.vectors import Origin, Tower
from stores.errors import ClusterError
from stores.hopsworks.session import Session
from stores.vectors.blocks import VectorBlock
from stores.vectors.index import IndexSpace

VERSION_COLUMN = "model_version"

_LONGEST = 256  # characters of a description that a cluster keeps
_AWAIT = {"wait_for_online_ingestion": True}
_WRITE = {"start_offline_materialization": False, **_AWAIT}

T = TypeVar("T")


class VectorGroup:
    """See VectorIndex."""

    def __init__(self, session: Session, name: str, primary_key: str) -> None:
        self._session = session
        self._name = name
        self._key = primary_key
        self._found: dict[int, Any] = {}

    def spaces(self) -> list[IndexSpace]:
        """See VectorIndex."""
        found = self._ask("list the versions", lambda: self._store().get_feature_groups(self._name) or [])
        self._found = {int(one.version): one for one in found if one.name == self._name}
        return [_space(number, str(one.description or "")) for number, one in sorted(self._found.items())]

    def create(self, origin: Origin, dimension: int) -> IndexSpace:
        """See VectorIndex."""
        number = max(self._found, default=0) + 1
        index = EmbeddingIndex()
        index.add_embedding(Tower.CANDIDATE.value, dimension, SimilarityFunctionType.COSINE)
        vectors = [Feature(tower.value, type="array<float>") for tower in Tower]

        def make() -> Any:
            made = self._store().create_feature_group(
                self._name,
                version=number,
                description=_description(origin, complete=False),
                online_enabled=True,
                primary_key=[self._key],
                embedding_index=index,
                features=[Feature(self._key, type="string"), *vectors, Feature(VERSION_COLUMN, type="bigint")],
                statistics_config=False,
                stream=True,
                time_travel_format="NONE",
            )
            made.save()
            return made

        self._session.once(f"make version {number} of feature group {self._name}", make)
        self.spaces()
        if number not in self._found:
            raise ClusterError(f"feature group {self._name}, version {number}, was made and is not there")
        return IndexSpace(number, origin, complete=False)

    def upsert(self, space: IndexSpace, block: VectorBlock) -> None:
        """See VectorIndex."""
        assert space.origin is not None
        columns: dict[str, Any] = {self._key: block.users}
        columns |= {tower.value: list(block.vectors[tower]) for tower in Tower}
        columns[VERSION_COLUMN] = space.origin.towers
        frame = pd.DataFrame(columns)
        group = self._found[space.number]
        self._ask(
            f"write {len(block.users)} users", lambda: group.insert(frame, storage="online", write_options=_WRITE)
        )

    def remove(self, space: IndexSpace, users: Sequence[str]) -> None:
        """See VectorIndex."""
        keys, group = pd.DataFrame({self._key: list(users)}), self._found[space.number]
        self._ask(f"remove {len(users)} users", lambda: group.remove_rows(keys, storage="online", write_options=_AWAIT))

    def complete(self, space: IndexSpace, origin: Origin) -> None:
        """See VectorIndex."""
        group, text = self._found[space.number], _description(origin, complete=True)
        self._ask(f"switch to version {space.number}", lambda: group.update_description(text))

    def delete(self, space: IndexSpace) -> None:
        """See VectorIndex."""
        group = self._found.pop(space.number)
        self._ask(f"delete version {space.number}", lambda: group.delete(force=True))

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        return self._session.ask(f"{what} of feature group {self._name}", call)

    def _store(self) -> Any:
        return self._session.project.get_feature_store()


def _description(origin: Origin, *, complete: bool) -> str:
    """What a server has to know; without what would make it too long."""
    said = {
        "complete": complete,
        "model": origin.model_name,
        "version": origin.version,
        "towers": origin.towers,
        "index_compatible_with": origin.index_compatible_with,
    }
    text = json.dumps(said)
    return text if len(text) <= _LONGEST else json.dumps({**said, "model": origin.model_name[:100]})


def _space(number: int, description: str) -> IndexSpace:
    try:
        said = json.loads(description)
        origin = Origin(
            model_name=said["model"],
            version=said["version"],
            towers=said["towers"],
            index_compatible_with=said["index_compatible_with"],
        )
        return IndexSpace(number, origin, complete=said["complete"] is True)
    except (ValueError, KeyError, TypeError):
        return IndexSpace(number, None, complete=True)  # somebody else's: never deleted as a left-over
