"""The label book: every label of the group, kept in the folder of an embedding space beside the user matrix.

    labels.db   one row a label, also of users who are not known yet: those wait

The book follows the label group as the matrix follows the feature group: after any upserts and deletes it holds what a
full re-read would (P3). Of waiting labels only the latest `max_waiting` are kept; of the others the book only knows
that there were some. Once new users join, their labels may be among these, and the book asks for a full re-read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.fault_points import Point, reached
from schemas.labels import LabelGroup, PairKey
from stores.labels.checks import CheckedLabels
from trainer.labels.outcomes import Outcomes
from trainer.matrix.embeddings import Rows, UserMatrix
from trainer.matrix.population import Population
from trainer.matrix.split import Part

BOOK_FILE = "labels.db"
_GROUP, _SET_ASIDE = "group", "set aside"


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """The labels of a book as a cycle uses them.

    Attributes:
        outcomes: those between users with a direction, each pair once.
        waiting: number of labels with an unknown end.
        overruled: number of labels that a later one about the same two users contradicts.
    """

    outcomes: Outcomes
    waiting: int
    overruled: int


class LabelBook:
    """The labels in a space's folder. One process at a time may write them."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / BOOK_FILE, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS labels (user TEXT, other TEXT, positive INTEGER NOT NULL, weight REAL NOT NULL,"
            " at REAL NOT NULL, PRIMARY KEY (user, other)) WITHOUT ROWID"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")

    def __len__(self) -> int:
        """Number of labels, waiting ones included."""
        (count,) = self._db.execute("SELECT count(*) FROM labels").fetchone()
        return int(count)

    def holding(self, pairs: Iterable[PairKey]) -> int:
        """Number of `pairs` that have a label here."""
        query = "SELECT count(*) FROM labels WHERE user = ? AND other = ?"
        return sum(self._db.execute(query, pair).fetchone()[0] for pair in pairs)

    @property
    def set_aside(self) -> int:
        """Number of waiting labels beyond `max_waiting`, dropped since the last full read."""
        return int(self._fact(_SET_ASIDE) or 0)

    def follows(self, group: LabelGroup, matrix: UserMatrix, joining: Iterable[str]) -> bool:
        """Whether changes of `group` can be applied; if not, all labels have to be read.

        They cannot where the book is empty or of another group, or where labels were set aside and a `joining` user,
        for whom these may have waited, is not in the matrix yet.
        """
        if self._fact(_GROUP) != _identity(group):
            return False
        joining = list(joining)
        return not self.set_aside or len(matrix.rows_of(joining)) == len(joining)

    def replace(self, group: LabelGroup, labels: CheckedLabels) -> None:
        """Replace all labels by `labels`, which are all of `group`; safe to repeat."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM labels")
            self._db.execute("DELETE FROM facts")
            self._write(labels)
            self._keep(_GROUP, _identity(group))

    def apply(self, labels: CheckedLabels, deletes: Iterable[PairKey]) -> None:
        """Set `labels` and remove `deletes`, none of which are among them; safe to repeat."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("DELETE FROM labels WHERE user = ? AND other = ?", deletes)
            self._write(labels)
            reached(Point.LABELS_UNCOMMITTED)

    def known_labels(
        self, group: LabelGroup, matrix: UserMatrix, population: Population, changed: Iterable[PairKey]
    ) -> KnownLabels:
        """The labels as rows of the matrix, with counts. Waiting labels beyond `max_waiting` are set aside.

        Args:
            group: whether labels are directed, and how many may wait.
            matrix, population: of the space, all changes applied.
            changed: labels that the cycle has claimed.
        """
        keys, rows = matrix.users()
        row_of = dict(zip(keys, rows.tolist(), strict=True))
        found = self._db.execute("SELECT user, other, positive, weight, at FROM labels ORDER BY user, other").fetchall()
        ends = np.array([(row_of.get(one[0], -1), row_of.get(one[1], -1)) for one in found], dtype=np.int64)
        ends = ends.reshape(len(found), 2)
        at = np.array([one[4] for one in found], dtype=np.float64)
        waiting = np.flatnonzero((ends < 0).any(axis=1))
        if len(waiting) > group.max_waiting:
            late = waiting[np.argsort(at[waiting], kind="stable")[: len(waiting) - group.max_waiting]]
            self._put_aside([found[each][:2] for each in late.tolist()])
        directed = np.zeros(len(matrix.directions) + 1, dtype=bool)  # the last entry stands for unknown users
        directed[population.everyone] = True
        known = np.flatnonzero(directed[ends].all(axis=1))
        positive = np.array([bool(found[each][2]) for each in known.tolist()], dtype=bool)
        pairs = ends[known] if group.directed else np.sort(ends[known], axis=1)
        kept, overruled = _latest(pairs, positive, at[known])
        claimed = set(changed)
        part = population.part[pairs[kept]]
        outcomes = Outcomes(
            pairs=pairs[kept],
            positive=positive[kept],
            weight=np.array([found[each][3] for each in known[kept].tolist()], dtype=np.float32),
            part=np.where(
                (part == Part.HOLDOUT).any(axis=1),
                np.int8(Part.HOLDOUT),
                np.where((part == Part.DEV).any(axis=1), np.int8(Part.DEV), np.int8(Part.TRAIN)),
            ),
            changed=np.array([found[each][:2] in claimed for each in known[kept].tolist()], dtype=bool),
            directed=group.directed,
        )
        return KnownLabels(outcomes, min(len(waiting), group.max_waiting), overruled)

    def labels(self) -> dict[PairKey, tuple[bool, float, float]]:
        """(positive, weight, time) of every label by pair, waiting ones included."""
        rows = self._db.execute("SELECT user, other, positive, weight, at FROM labels")
        return {(user, other): (bool(positive), weight, at) for user, other, positive, weight, at in rows}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _write(self, labels: CheckedLabels) -> None:
        columns = (labels.positive.tolist(), labels.weight.tolist(), labels.at.tolist())
        rows = ((*pair, *values) for pair, *values in zip(labels.pairs, *columns, strict=True))
        self._db.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?, ?)", rows)

    def _put_aside(self, pairs: list[PairKey]) -> None:
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("DELETE FROM labels WHERE user = ? AND other = ?", pairs)
            self._keep(_SET_ASIDE, str(self.set_aside + len(pairs)))

    def _fact(self, name: str) -> str | None:
        found = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def _keep(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _identity(group: LabelGroup) -> str:
    """The settings that labels were read by: with others the same rows may mean something else."""
    return group.model_dump_json(exclude={"directed", "max_waiting"})


def _latest(pairs: Rows, positive: NDArray[np.bool_], at: NDArray[np.float64]) -> tuple[Rows, int]:
    """The latest of the labels about the same two users, as positions in order; and how many labels it contradicts.

    Of two labels of the same time, the last in the order of ids counts.
    """
    if not len(pairs):
        return np.empty(0, dtype=np.int64), 0
    order = np.lexsort((np.arange(len(pairs)), at, pairs[:, 1], pairs[:, 0]))
    sorted_pairs = pairs[order]
    last = np.append((sorted_pairs[1:] != sorted_pairs[:-1]).any(axis=1), True)
    group = np.concatenate([[0], np.cumsum(last[:-1])])
    kept = order[last]
    overruled = int((positive[order] != positive[kept][group]).sum())
    return np.sort(kept), overruled
