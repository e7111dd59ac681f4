"""A node's copy of a user matrix: what is mined from there, in a folder of the node, mapped into memory.

    direction.f32   (capacity, width) unit rows
    short.bin       (capacity, short width) short rows of the bounds; absent where they are the directions
    order.i64       (capacity,) rank of each row's user by id
    copy.json       what the arrays are, and the stamp of the mining that they are ready for; written last

A copy stays from one cycle to the next. What it holds is told by a digest of each row, computed from what lies there:
a cycle sends only rows that differ, whatever the reason, and a copy that was cut short or damaged is mended.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from stores.files import lengthen
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds
from trainer.pairs.precision import Precision, Stored
from trainer.pairs.view import View

Digests = NDArray[np.uint64]
"""(rows, 2): 128 bits of each row."""

LOCK_FILE = "lock"
_DIGEST_BYTES = 16


class NotReadyError(Exception):
    """The copy of a node is not ready for this mining: it is another node, or another trainer has made it since."""

    def __init__(self, node: str) -> None:
        super().__init__(f"node {node} has no copy for this mining")
        self.node = node

    def __reduce__(self) -> tuple[Any, ...]:
        return NotReadyError, (self.node,)


@dataclass(frozen=True, slots=True)
class Shape:
    """The arrays of a copy.

    Attributes:
        capacity: rows.
        width: of a direction.
        short_width: of a short row; None where short rows are the directions.
        precision: of the short rows.
        leaves_out: whether the last number of a short row is the length of the rest.
        slack: of the bounds.
    """

    capacity: int
    width: int
    short_width: int | None
    precision: str
    leaves_out: bool
    slack: float

    @staticmethod
    def of(view: View) -> Shape:
        """The shape of a view."""
        bounds = view.bounds
        own = bounds.rest is not None or bounds.precision is not Precision.FLOAT32
        return Shape(
            capacity=len(view.directions),
            width=view.directions.shape[1],
            short_width=bounds.short.shape[1] if own else None,
            precision=bounds.precision.value,
            leaves_out=bounds.rest is not None,
            slack=bounds.slack,
        )


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows that a copy lacks: which, their directions, and their short rows where these are something else."""

    rows: Rows
    directions: Floats
    short: Stored | None


def digests(directions: Floats, short: Stored | None) -> Digests:
    """The digest of each row: of its direction, and of its short row where there is one."""
    found = bytearray()
    for row in range(len(directions)):
        one = blake2b(directions[row].tobytes(), digest_size=_DIGEST_BYTES)
        if short is not None:
            one.update(short[row].tobytes())
        found += one.digest()
    return np.frombuffer(bytes(found), dtype=np.uint64).reshape(-1, 2)


class NodeCopy:
    """The copy in a folder. One process at a time prepares it; any number read it."""

    def __init__(self, folder: Path, node: str) -> None:
        self._folder = folder
        self._node = node

    def held(self, shape: Shape) -> Digests:
        """(capacity, 2) the digests of what lies there; of rows of zeros where nothing does."""
        with self._alone():
            directions, short, _ = self._arrays(shape, writable=True)
            return digests(directions, short)

    def prepare(self, shape: Shape, order: Rows, portions: Iterator[Portion], stamp: str) -> None:
        """Write what is lacking, and be ready for the mining `stamp`, for no other any more."""
        with self._alone():
            self._note.unlink(missing_ok=True)
            directions, short, ranks = self._arrays(shape, writable=True)
            for portion in portions:
                directions[portion.rows] = portion.directions
                if short is not None and portion.short is not None:
                    short[portion.rows] = portion.short
            ranks[:] = order
            self._note.write_text(json.dumps({"stamp": stamp, "shape": asdict(shape)}))

    def view(self, stamp: str) -> View:
        """The matrix for the mining `stamp`.

        Raises:
            NotReadyError: the copy is not there, or made for another mining.
        """
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            raise NotReadyError(self._node) from None
        if note["stamp"] != stamp:
            raise NotReadyError(self._node)
        shape = Shape(**note["shape"])
        directions, own, order = self._arrays(shape, writable=False)
        precision = Precision(shape.precision)
        short = directions if own is None else own
        rest = precision.load(np.ascontiguousarray(short[:, -1])) if shape.leaves_out else None
        return View(directions, Bounds(short, rest, precision, shape.slack), order)

    @property
    def _note(self) -> Path:
        return self._folder / "copy.json"

    def _arrays(self, shape: Shape, *, writable: bool) -> tuple[Floats, Stored | None, Rows]:
        rows = shape.capacity
        short = None
        if shape.short_width is not None:
            kind = Precision(shape.precision).dtype
            short = self._mapped("short.bin", kind, (rows, shape.short_width), writable=writable)
        return (
            self._mapped("direction.f32", np.dtype(np.float32), (rows, shape.width), writable=writable),
            short,
            self._mapped("order.i64", np.dtype(np.int64), (rows,), writable=writable),
        )

    def _mapped(self, name: str, kind: np.dtype[Any], shape: tuple[int, ...], *, writable: bool) -> NDArray[Any]:
        if writable:
            lengthen(self._folder / name, int(np.prod(shape)) * kind.itemsize)
        return np.memmap(self._folder / name, dtype=kind, mode="r+" if writable else "r", shape=shape)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LOCK_FILE).open("w") as file:  # its time says when the copy was used last
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
