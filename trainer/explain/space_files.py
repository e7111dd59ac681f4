"""The files of an embedding space, read without a trace, while no trainer works in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from stores.sqlite_readonly import connect
from trainer.labels.book import BOOK_FILE
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Projection
from trainer.pairs.graph import Graph
from trainer.pairs.graph_file import stored_graph
from trainer.pairs.precision import Precision

_SPACE_FILE = "space.json"


@dataclass(frozen=True, slots=True)
class SpaceFiles:
    """One space: `folder`, and the number of columns of a raw row."""

    folder: Path
    width: int

    def users(self) -> tuple[list[str], Rows]:
        """Every user and its row of the matrix."""
        found = self._ask("index.db", "SELECT key, row FROM users ORDER BY key")
        return [key for key, _ in found], np.array([row for _, row in found], dtype=np.int64)

    def row_of(self, user: str) -> int | None:
        """The row of a user; None where the index does not name it."""
        found = self._ask("index.db", "SELECT row FROM users WHERE key = ?", user)
        return int(found[0][0]) if found else None

    def raw(self) -> Floats:
        """(capacity, width) raw rows, mapped."""
        return self._mapped("raw.f32")

    def directions(self) -> Floats:
        """(capacity, width) unit rows, mapped."""
        return self._mapped("direction.f32")

    def short_rows(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """(rows, m) short rows, mapped, and what a row without a user is there; None where there are none."""
        try:
            with np.load(self.folder / "projection.npz", allow_pickle=False) as stored:
                projection, rows = Projection(stored["axes"], Precision(str(stored["precision"]))), int(stored["rows"])
            if projection.is_plain:
                return None
            shape = rows, projection.short_width
            short = np.memmap(self.folder / "short.bin", dtype=projection.precision.dtype, mode="r", shape=shape)
        except (OSError, ValueError, KeyError, BadZipFile):
            return None
        return short, projection.shorten(np.zeros((1, self.width), dtype=np.float32))

    def paired_rows(self) -> tuple[int, NDArray[np.int64]]:
        """How many links or pairs the graph has, and the rows that it names, each once."""
        policy, arrays = stored_graph(self.folder) or (PairPolicy(), {})
        try:
            graph = Graph.of(policy, arrays)
        except KeyError:
            return 0, np.empty(0, dtype=np.int64)
        return len(graph.lists.links) + len(graph.whole), graph.rows()

    def labels_of(self, user: str) -> tuple[int, int] | None:
        """How many labels name a user, and how many there are; None without a book."""
        if not (self.folder / BOOK_FILE).exists():
            return None
        ((of_user,),) = self._ask(BOOK_FILE, "SELECT count(*) FROM labels WHERE user = ? OR other = ?", user, user)
        ((every,),) = self._ask(BOOK_FILE, "SELECT count(*) FROM labels")
        return int(of_user), int(every)

    def note(self, name: str) -> dict[str, Any] | None:
        """A note beside the matrix; None where there is none, or it is damaged."""
        try:
            found = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _mapped(self, name: str) -> Floats:
        path = self.folder / name
        rows = path.stat().st_size // (4 * self.width)
        return np.memmap(path, dtype=np.float32, mode="r", shape=(rows, self.width))

    def _ask(self, name: str, query: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(connect(self.folder / name)) as db:
            return list(db.execute(query, values))


def spaces_in(work_dir: Path, width: int) -> Iterator[SpaceFiles]:
    """The spaces of a work folder, finished or not."""
    folder = work_dir / "spaces"
    for space in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (space / "index.db").exists():
            yield SpaceFiles(space, width)


def finished(space: SpaceFiles) -> bool:
    """Whether a cycle has completed the space."""
    return (space.folder / _SPACE_FILE).exists()
