"""The exam's work in parts: some asked users against everybody, block by block.

The parts and blocks are the same whoever works on them, because the last bit of a product depends on its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.exam.retrieval import Best, column_blocks, product
from trainer.matrix.embeddings import Rows
from trainer.workers import HERE, Workers

_PART = 128  # asked users; sixteen parts of the largest exam
_SECONDS_A_PAIR = 2e-8  # for its product, and to look whether it is among the best
_NOBODY: Rows = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Part:
    """Some asked users.

    Attributes:
        rows: (asked,) of the user matrix.
        vectors: (asked, d).
        bits: for each block of the corpus, (asked, bytes) which of its users are similar; or nothing.
        known: (known, 2) users that are left out, as positions in `rows` and in the corpus.
    """

    rows: Rows
    vectors: Floats
    bits: tuple[NDArray[np.uint8], ...] = ()
    known: Rows = field(default_factory=lambda: _NOBODY)


@dataclass(frozen=True, slots=True)
class Block:
    """Some users of the corpus: their places in it, their rows of the user matrix, and (users, d) vectors."""

    where: slice
    rows: Rows
    vectors: Floats


@dataclass(frozen=True, slots=True)
class Blocks:
    """The corpus in blocks, each made as it is asked for.

    Attributes:
        vectors: (capacity, d) rows of the user matrix.
        rows: the corpus.
        asked: number of asked users in all parts.
    """

    vectors: Floats
    rows: Rows
    asked: int

    def __iter__(self) -> Iterator[Block]:
        for where in corpus_blocks(self.asked, len(self.rows)):
            rows = self.rows[where]
            yield Block(where, rows, self.vectors[rows])


def corpus_blocks(asked: int, corpus: int) -> Iterator[slice]:
    """Slices that cover the corpus, each small enough for the memory of its similarities to a part."""
    return column_blocks(min(asked, _PART), corpus)


def parts_of(
    vectors: Floats, rows: Rows, bits: Sequence[NDArray[np.uint8]] = (), known: Rows = _NOBODY
) -> Iterator[Part]:
    """All asked users in parts, at least one; arguments as in `Part`, with `vectors` (capacity, d)."""
    for start in range(0, max(1, len(rows)), _PART):
        part = slice(start, start + _PART)
        own = known[(known[:, 0] >= part.start) & (known[:, 0] < part.stop)]
        own[:, 0] -= start
        yield Part(rows[part], vectors[rows[part]], tuple(one[part] for one in bits), own)


def joined(parts: Sequence[Best]) -> Best:
    """The best of all parts, of which there is at least one."""
    found = Best(0, parts[0].values.shape[1])
    found.values = np.concatenate([part.values for part in parts])
    found.rows = np.concatenate([part.rows for part in parts])
    return found


def search(
    queries: Floats,
    asked: Rows,
    candidates: Floats,
    corpus: Rows,
    count: int,
    known: Rows = _NOBODY,
    workers: Workers = HERE,
) -> Best:
    """The `count` nearest of each asked user in the corpus; not the user, nor those who are known.

    A vector with a number that is not finite is near to nobody.

    Args:
        queries, candidates: (capacity, d) unit embeddings.
        asked, corpus: distinct rows of theirs.
        count: number wanted.
        known: (known, 2) as in `Part`, with positions in `asked`.
        workers: who searches.
    """
    parts = parts_of(queries, asked, known=known)
    seconds = len(asked) * len(corpus) * _SECONDS_A_PAIR
    blocks = Blocks(candidates, corpus, len(asked))
    return joined(list(workers.each(partial(_nearest, count=count), parts, blocks, seconds)))


def _nearest(part: Part, blocks: Iterable[Block], count: int) -> Best:
    best = Best(len(part.rows), count)
    for block in blocks:
        values = compared(part, block)
        inside = (part.known[:, 1] >= block.where.start) & (part.known[:, 1] < block.where.stop)
        values[part.known[inside, 0], part.known[inside, 1] - block.where.start] = -np.inf
        best.add(values, block.rows)
    return best


def compared(part: Part, block: Block) -> Floats:
    """(asked, users) cosines; -inf of a user with itself, and where a vector has a number that is not finite."""
    cosine = product(part.vectors, block.vectors)
    cosine[part.rows[:, None] == block.rows] = -np.inf
    cosine[~np.isfinite(part.vectors).all(axis=1)] = -np.inf
    cosine[:, ~np.isfinite(block.vectors).all(axis=1)] = -np.inf
    return cosine
