"""Our side of the comparisons: the few calls of trainer.pairs that are measured, in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from stores.scratch import Scratch
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds_tuning import choose_projection
from trainer.pairs.graph import Graph, update_graph
from trainer.pairs.links import Links
from trainer.pairs.mining import mine_similar
from trainer.pairs.nearest import NearestLists
from trainer.pairs.negatives import draw_negatives
from trainer.pairs.precision import Precision
from trainer.pairs.short_rows import ShortRows
from trainer.pairs.similarity import similarity
from trainer.pairs.view import View

__all__ = ["DEFAULT_CAP", "Links", "Maintained", "policy", "product_error", "similarity"]

DEFAULT_CAP = PairPolicy().max_positives_per_user


def product_error(width: int) -> float:
    """Largest error of a float32 product of two directions."""
    return Precision.FLOAT32.error(width)


def policy(threshold: float, cap: int | None) -> PairPolicy:
    """The pair policy of a benchmark; a cap of None where the peer knows no cap."""
    return PairPolicy(similarity_threshold=threshold, max_positives_per_user=cap)


class Maintained:
    """The user matrix with its graph of similar pairs, as an embedding space keeps them.

    Args:
        directions: (users, width) unit rows; `change` writes into it.
        rule: threshold and cap.
        folder: where bounds and lists are kept, mapped as the matrix is; None keeps them in memory.
        lists: the lists of neighbours where they are known and nobody's is longer than the cap; otherwise the graph is
            empty until `mine_all`.
        precisions: of bounds, to choose from; None: those that this machine multiplies fast.
    """

    def __init__(
        self,
        directions: Floats,
        rule: PairPolicy,
        *,
        folder: Path | None = None,
        lists: Links | None = None,
        precisions: tuple[Precision, ...] | None = None,
    ) -> None:
        self.directions = directions
        self.refilled = 0
        self._rule = rule
        self._precisions = precisions
        self._everyone = np.arange(len(directions))
        self._short = ShortRows(folder) if folder is not None else None
        self._scratch = Scratch(folder)
        self._graph = Graph.empty(rule)
        if lists is not None:
            uncut = np.full(len(directions), -np.inf), np.full(len(directions), -1)
            self._graph = Graph(self._graph.cap, NearestLists(lists, *uncut), self._graph.whole)
        self._choose_bounds()

    def mine_all(self) -> None:
        """Mine everybody from an empty graph; the bounds are chosen again, as in a new embedding space."""
        self._graph = Graph.empty(self._rule)
        self._choose_bounds()
        self._update(self._everyone)

    def change(self, rows: Rows, become: Floats) -> Rows:
        """Write new directions of `rows` and bring the graph up to them; returns the pairs that they are in."""
        self.directions[rows] = become
        self._follow(rows)
        self._update(rows)
        changed = np.zeros(len(self.directions), dtype=bool)
        changed[rows] = True
        return self._graph.pairs(changed)

    def negatives(self, pairs: Rows) -> Rows:
        """As many dissimilar pairs as there are `pairs`, each checked."""
        threshold = self._rule.similarity_threshold
        generator = np.random.default_rng(0)
        return draw_negatives(self.directions, pairs[:, 0], self._everyone, threshold, generator, self._bounds)

    def similar(self, rows: Rows) -> Rows:
        """(links, 2): each of `rows` with every user similar to it, whatever the cap says."""
        found = [links for _, links in mine_similar(self._view(), rows, self._rule)]
        source, target = (np.concatenate([part[at] for part in found]) for at in (0, 1))
        return np.stack([source, target], axis=1)

    def pairs(self) -> Rows:
        """All pairs of the graph."""
        return self._graph.pairs()

    @property
    def held(self) -> int:
        """How many links the lists hold, those in reserve included."""
        return len(self._graph.lists.links)

    def lists(self) -> Links:
        """The lists of neighbours, where the rule has a cap."""
        assert self._graph.cap is not None
        return self._graph.lists.chosen(self._graph.cap)

    def _choose_bounds(self) -> None:
        rule = self._rule
        if self._short is not None:
            self._bounds = self._short.recreate(self.directions, self._everyone, rule, self._precisions)
        else:
            threshold, cap = rule.similarity_threshold, rule.max_positives_per_user
            self._projection = choose_projection(self.directions, self._everyone, threshold, cap, self._precisions)
            self._bounds = self._projection.bounds(self._projection.shorten(self.directions))

    def _follow(self, rows: Rows) -> None:
        """Keep the bounds current."""
        if self._short is not None:
            self._bounds = self._short.current(self.directions, rows, self._everyone, self._rule, self._precisions)
        else:
            self._bounds.short[rows] = self._projection.shorten(self.directions[rows])
            self._bounds = self._projection.bounds(self._bounds.short)

    def _view(self) -> View:
        return View(self.directions, self._bounds, self._everyone)  # users are numbered in the order of their ids

    def _update(self, rows: Rows) -> None:
        update = update_graph(self._graph, self._view(), rows, self._rule, scratch=self._scratch)
        self._graph, self.refilled = update.graph, update.refilled
