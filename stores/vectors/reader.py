"""What a server reads vectors by. It needs NumPy, PyArrow and pydantic, and neither TensorFlow nor a ledger.

    vectors = VectorSet.open(Path("vectors"))
    found = vectors.nearest(vectors.query("user 7"), 10)

Queries carry their origin, and `nearest` refuses those that must not meet these candidates (P10).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.jobs.vectors import CURRENT_FILE, Origin, Tower, VectorStamp, current_set
from stores.errors import StoreError
from stores.feature_store import Floats
from stores.vectors.parquet import ParquetFile, VectorsDamaged
from stores.vectors.sets import SetFiles, sets_in
from stores.vectors.together import Meeting, check_together

_TRIES = 10


class NoVectors(StoreError):  # noqa: N818
    """There is no such set, or no such user in it."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query vector (dimension,), and where it comes from."""

    vector: Floats
    origin: Origin


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest candidates, nearest first, their cosines, and on what ground query and candidates met."""

    users: list[str]
    cosines: Floats
    meeting: Meeting


class VectorSet:
    """A set in memory, of one version through and through, whatever is switched meanwhile.

    Attributes:
        folder: where it was read.
        stamp: what it is.
        users: ids, in their order.
        queries, candidates: (users, dimension), of unit length; without rows for a tower that was not read.
    """

    def __init__(self, folder: Path, files: SetFiles, towers: Sequence[Tower]) -> None:
        self.folder = folder
        self.stamp: VectorStamp = files.stamp
        self.users: list[str] = []
        held = {tower: np.empty((files.stamp.users, files.stamp.dimension), np.float32) for tower in towers}
        for block in files.blocks():
            at = len(self.users)
            self.users += block.users
            for tower, vectors in held.items():
                vectors[at : len(self.users)] = block.vectors[tower]
        if len(self.users) != files.stamp.users:
            raise VectorsDamaged(f"{folder} holds {len(self.users)} users, not {files.stamp.users}; write it again")
        nothing = np.empty((0, files.stamp.dimension), np.float32)
        self.queries, self.candidates = (held.get(tower, nothing) for tower in (Tower.QUERY, Tower.CANDIDATE))
        self._at: dict[str, int] | None = None

    @staticmethod
    def open(out: Path, towers: Sequence[Tower] = tuple(Tower)) -> VectorSet:
        """The set that counts in the folder `out`; its vectors take 4 bytes for each user, dimension and tower.

        Raises:
            NoVectors: there is no set, or none with these towers.
            VectorsDamaged: the set is not whole.
        """
        for _ in range(_TRIES):  # each time the set was removed between a look at the name and at the files
            folder = current_set(out)
            if folder is None:
                break
            try:
                files = SetFiles(folder)
            except FileNotFoundError:
                continue
            with closing(files):
                if missing := set(towers) - set(files.stamp.towers):
                    raise NoVectors(f"{folder} has no vectors of the tower {', '.join(sorted(missing))}")
                return VectorSet(folder, files, towers)
        raise NoVectors(f"{out} has no {CURRENT_FILE} that names a set; `retrainer vectors --out {out}` writes one")

    def outdated(self) -> bool:
        """Whether another set counts now, so that it is time to open that one."""
        return current_set(self.folder.parent) != self.folder

    def query(self, user: str) -> Query:
        """The query vector of a user.

        Raises:
            NoVectors: the set has none of that user.
        """
        if self._at is None:
            self._at = {one: number for number, one in enumerate(self.users)}
        if not len(self.queries) or user not in self._at:
            raise NoVectors(f"{self.folder} has no query vector of user {user!r}")
        return Query(self.queries[self._at[user]], self.stamp.origin)

    def nearest(self, query: Query, count: int) -> Neighbours:
        """The `count` candidates with the greatest cosines; the user who asks may be among them.

        Raises:
            VectorsApart: the query is of another space than the candidates.
        """
        meeting = check_together(query.origin, self.stamp.origin)
        cosines = self.candidates @ query.vector
        count = min(count, len(cosines))
        best = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, np.int64)
        best = best[np.argsort(-cosines[best], kind="stable")]
        return Neighbours([self.users[at] for at in best.tolist()], cosines[best], meeting)


def holds(out: Path, user: str) -> bool | None:
    """Whether any published set in the folder `out`, or the Parquet file `out`, holds a user.

    None where nothing is published, or a set cannot be read, so that nobody can tell.
    """
    files = [out] if out.is_file() else [path for folder in sets_in(out) for path in folder.glob("*.parquet")]
    unknown = not files
    for path in files:
        try:
            with closing(ParquetFile(path)) as file:
                if file.holds(user):
                    return True
        except FileNotFoundError:
            continue  # it has just been replaced by one that is looked at, or by a later one
        except StoreError:
            unknown = True
    return None if unknown else False
