"""How far two models are from each other: by their weights, by the embeddings of users, by what they call similar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.jobs.reproduction import TowerDistance
from stores.feature_store import Floats
from trainer.exam.evaluate import embed
from trainer.exam.retrieval import column_blocks, product
from trainer.matrix.embeddings import Rows
from trainer.model import CANDIDATE, QUERY, TwoTower


@dataclass(frozen=True, slots=True)
class Calls:
    """Pairs that two models are asked about, those that either calls similar, and those that both do."""

    pairs: int
    either: int
    both: int

    @property
    def agreement(self) -> float:
        """Share of the pairs that either calls similar on which both agree; 1 where there are none."""
        return self.both / self.either if self.either else 1.0


def tower_distance(one: TwoTower, other: TwoTower, name: str, raw: Floats, rows: Rows) -> TowerDistance:
    """The distance of one tower of two models.

    Args:
        one, other: the models.
        name: `query` or `candidate`.
        raw: (capacity, width) the user matrix.
        rows: of the users whose embeddings are compared; at least one.
    """
    ours, theirs = (embed(model, name, raw, rows)[rows].astype(np.float64) for model in (one, other))
    left, _, right = np.linalg.svd(theirs.T @ ours)
    return TowerDistance(
        cosine=_mean_cosine(ours, theirs),
        rotated=_mean_cosine(ours, theirs @ (left @ right)),
        weights=_apart(_tower(one, name), _tower(other, name)),
    )


def same_weights(one: TwoTower, other: TwoTower) -> bool:
    """Whether all weights are the same, bit for bit; those of the optimizer do not count."""
    ours, theirs = one.whole.get_weights(), other.whole.get_weights()
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


def calls(one: TwoTower, other: TwoTower, raw: Floats, asked: Rows, everyone: Rows) -> Calls:
    """What two models call similar, of all pairs of a user of `asked` with another of `everyone`, as rows of `raw`."""
    (ours, own_line), (theirs, their_line) = (_answering(model, raw, asked, everyone) for model in (one, other))
    either = both = 0
    for where in column_blocks(len(asked), len(everyone)):
        block = everyone[where]
        self_paired = asked[:, None] == block[None, :]
        mine = _called(ours[0][asked], ours[1][block], own_line) & ~self_paired
        others = _called(theirs[0][asked], theirs[1][block], their_line) & ~self_paired
        either += int(np.count_nonzero(mine | others))
        both += int(np.count_nonzero(mine & others))
    return Calls(pairs=len(asked) * max(0, len(everyone) - 1), either=either, both=both)


def _answering(
    model: TwoTower, raw: Floats, asked: Rows, everyone: Rows
) -> tuple[tuple[Floats, Floats], tuple[float, float]]:
    return (embed(model, QUERY, raw, asked), embed(model, CANDIDATE, raw, everyone)), model.scale()


def _called(queries: Floats, candidates: Floats, line: tuple[float, float]) -> Any:
    scale, bias = line
    return scale * product(queries, candidates) + bias > 0


def _tower(model: TwoTower, name: str) -> Floats:
    tower = model.query if name == QUERY else model.candidate
    return np.concatenate([weights.ravel() for weights in tower.get_weights()])


def _apart(ours: Floats, theirs: Floats) -> float:
    """Length of the difference as a share of the length of `ours`."""
    length = float(np.linalg.norm(ours.astype(np.float64)))
    return float(np.linalg.norm(ours.astype(np.float64) - theirs)) / length if length else 0.0


def _mean_cosine(ours: Any, theirs: Any) -> float:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(np.mean(np.einsum("ij,ij->i", ours, theirs) / np.maximum(lengths, 1e-12)))
