"""Small worlds for tests: users around a few centres, so that some are similar and most are not."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import CycleKind, CycleRequest, Lineage, LocalRegistry, LocalStore, TrainerSettings
from schemas.features import Column, FeatureGroup
from schemas.policies import FitPolicy, GatePolicy, PairPolicy, SplitPolicy
from stores.features.local import LocalFeatureStore

GROUP = FeatureGroup(
    name="listeners",
    columns=(Column(name="taste", length=8), Column(name="habit", length=5), Column(name="year", length=1)),
)
Row = dict[str, NDArray[np.float32]]


class World:
    """Users `u0`, `u1`, ... with features drawn from a seed; asking twice for a user gives two different moods."""

    def __init__(self, seed: int = 0, centres: int = 12, group: FeatureGroup = GROUP) -> None:
        self._generator = np.random.default_rng(seed)
        self._group = group
        self._centres = {column.name: self._generator.normal(size=(centres, column.length)) for column in group.columns}
        self._count = centres

    def row(self) -> Row:
        """Features of somebody around a random centre."""
        centre = self._generator.integers(self._count)
        row: Row = {}
        for column in self._group.columns:
            mood = self._centres[column.name][centre] + 0.25 * self._generator.normal(size=column.length)
            row[column.name] = (1990 + 8 * mood if column.is_scalar else mood).astype(np.float32)
        return row

    def rows(self, users: Iterable[str]) -> dict[str, Row]:
        """Features of each of `users`."""
        return {user: self.row() for user in users}


def names(count: int, start: int = 0) -> list[str]:
    """User ids."""
    return [f"u{number}" for number in range(start, start + count)]


def trainer_settings(folder: Path, group: FeatureGroup = GROUP) -> TrainerSettings:
    """Settings for cycles that take a second or two."""
    return TrainerSettings(
        feature_group=group,
        feature_store=LocalStore(path=folder / "store.db"),
        model_registry=LocalRegistry(path=folder / "registry"),
        work_dir=folder / "work",
        pairs=PairPolicy(similarity_threshold=0.8, max_positives_per_user=15),
        split=SplitPolicy(holdout_share=0.25, dev_share=0.1),
        fit=FitPolicy(batch_users=128, full_epochs=8, incremental_epochs=3, min_replay_users=32),
        gate=GatePolicy(min_users=20, draws=200, negligible=0.02, register_unchanged=True),
    )


def first_cycle(settings: TrainerSettings, folder: Path) -> CycleRequest:
    """A store of 400 users in `folder`, where `trainer_settings` looks for it, and the request that learns them."""
    with closing(LocalFeatureStore(folder / "store.db", GROUP)) as store:
        store.commit(World().rows(names(400)))
    return CycleRequest(
        cycle_id="c1",
        kind=CycleKind.BOOTSTRAP,
        reason="the test says so",
        base_version=None,
        users=(),
        lineage=Lineage(offsets={"t": {0: (0, 7)}}, changed_users=0),
        settings=settings,
    )
