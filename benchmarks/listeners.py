"""Users to learn on: real listeners where their log is at hand, else generated ones; some of them held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data import generated
from benchmarks.rows import Setup
from schemas.cycle import LocalRegistry, LocalStore, TrainerSettings
from schemas.features import Column, FeatureGroup
from schemas.labels import LabelGroup
from schemas.policies import FitPolicy, PairPolicy, SplitPolicy
from stores.feature_store import Floats
from stores.features.checks import CheckedRows
from trainer.exam.exam import Exam, prepare_exam
from trainer.learning.fit import TrainingData
from trainer.learning.initial_weights import set_initial_weights
from trainer.matrix.population import Population
from trainer.matrix.scaling import fit_space
from trainer.matrix.split import Part, split
from trainer.model import TwoTower, build
from trainer.space import Space

_HELD_OUT = 0.2
_DEV = SplitPolicy.model_construct(holdout_share=0.0, dev_share=0.1)  # unchecked: the holdout is drawn here
_GENERATED = 4_000
_SCALE = 50.0


@dataclass(frozen=True, slots=True)
class Listeners:
    """Users in a real embedding space, 20 % of them held out by a draw, a tenth of the others dev users by hash."""

    name: str
    space: Space
    population: Population
    settings: TrainerSettings

    @property
    def directions(self) -> Floats:
        """(users, width)."""
        return self.space.matrix.directions[self.population.everyone]

    @property
    def learnable(self) -> Floats:
        """(users, width) of those not held out: what the notebook trains on."""
        rows = self.population.everyone
        return np.asarray(self.space.matrix.directions[rows[self.population.part[rows] != Part.HOLDOUT]])

    def data(self, seed: int = 0) -> TrainingData:
        """What ours trains on."""
        return TrainingData.of(self.space, self.population, None, self.settings, seed)

    def model(self, *, from_noise: bool = False) -> TwoTower:
        """A new model, as a cycle builds it; or with Keras's random weights, as the notebook's begins."""
        model = build(self.space.info, self.settings.feature_group, self.settings.fit.dropout, 1e-3)
        threshold = self.settings.pairs.similarity_threshold
        if from_noise:
            model.rescale(_SCALE, -_SCALE * threshold)
        else:
            set_initial_weights(model, self.space.matrix.directions, self.population.of(Part.TRAIN), threshold)
        return model

    def exam(self) -> Exam:
        """Every pair of the held-out users with checked negatives, and their ten nearest among all users."""
        directions = self.space.matrix.directions
        return prepare_exam(
            directions,
            directions,
            self.population.holdout,
            self.population.everyone,
            self.settings.pairs,
            seed=0,
        )


def listeners(setup: Setup) -> Listeners:
    """Last.fm users, similar above 0.5, where their log is at hand; else generated listeners, similar above 0.8."""
    if setup.lastfm is not None:
        return placed(setup.folder, "Last.fm users", lastfm(setup.lastfm), 0.5)
    users = setup.size(_GENERATED, 600)
    return placed(setup.folder, f"{users:,} generated listeners, as the Last.fm log is not here", generated(users), 0.8)


def lastfm(log: Path, width: int = 100) -> Floats:
    """(users, width) log(1 + plays), TF-IDF, truncated SVD, unit length."""
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    user, artist, plays = np.loadtxt(log, skiprows=1).T
    at = [np.unique(ids, return_inverse=True)[1] for ids in (user, artist)]
    counts = TfidfTransformer().fit_transform(csr_matrix((np.log1p(plays), (at[0], at[1]))))
    rows = TruncatedSVD(width, random_state=0).fit_transform(counts)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def placed(
    folder: Path, name: str, directions: Floats, threshold: float, fit: FitPolicy | None = None, seed: int = 0
) -> Listeners:
    """Unit rows as users of an embedding space in `folder`, with their exact graph, uncapped, and the split."""
    group = FeatureGroup(name="listeners", columns=(Column(name="embedding", length=directions.shape[1]),))
    settings = TrainerSettings(
        feature_group=group,
        labels=LabelGroup() if fit is not None and fit.objective.has_outcomes else None,
        feature_store=LocalStore(path=folder / "store.db"),
        model_registry=LocalRegistry(path=folder / "registry"),
        work_dir=folder,
        pairs=PairPolicy(similarity_threshold=threshold, max_positives_per_user=None),
        fit=fit or FitPolicy(),
    )
    keys = [f"user-{number:06d}" for number in range(len(directions))]
    space = Space.create(folder / "space", fit_space("listeners", group, directions), group)
    space.apply(CheckedRows(keys, directions, {}), [])
    space.update_pairs(settings.pairs, lambda _done, _of: None)
    names, rows = space.matrix.users()
    part = np.full(len(space.matrix.directions), Part.HOLDOUT, dtype=np.int8)
    part[rows] = split(_DEV, names)
    held = rows[np.random.default_rng(seed).permutation(len(rows))[: int(_HELD_OUT * len(rows))]]
    part[held] = Part.HOLDOUT
    order = np.zeros(len(part), dtype=np.int64)
    order[rows] = np.arange(len(rows))
    return Listeners(name, space, Population(len(rows), np.sort(rows), part, held, order), settings)
