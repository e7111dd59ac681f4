"""The exam: questions about the held-out users for all models of a cycle, with the right answers.

Labels come from the directions of one scaling: each pair (held-out user, any other user) is similar or not, exactly. An
exam has two parts: all of these pairs, as bits, in their true proportion; and a balanced sample of them, for the
headline accuracy. In the sample each held-out user has some of its similar users, and `negative_ratio` dissimilar users
for each: half of them, at most 32, are the nearest ones, where models err; the rest is random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from stores.scratch import Scratch
from trainer.exam.labelling import SECONDS_A_PAIR, labels_of
from trainer.exam.parts import Blocks, corpus_blocks, joined, parts_of
from trainer.exam.retrieval import Best
from trainer.matrix.embeddings import Rows
from trainer.pairs.negatives import draw_negatives
from trainer.workers import HERE, Workers

NEAREST = 10
_POSITIVES = 50  # sampled for each held-out user, where there are more
_HARD = 32  # nearest dissimilar users that are kept for each


@dataclass(frozen=True, slots=True)
class PairSet:
    """Labelled pairs as rows (pairs, 2), the held-out user first; `similar` (pairs,) is the label."""

    rows: Rows
    similar: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Exam:
    """The questions of one exam.

    Attributes:
        raw: (capacity, width) raw rows of the user matrix, the input of models.
        directions: (capacity, width) the rows that labels come from.
        queries: held-out rows with a direction.
        corpus: every row with a direction, in order.
        pairs: the balanced sample.
        tenth: (queries,) similarity of the tenth nearest user, or of the last in a small corpus.
        nearest: number of neighbours that are asked for: ten, or all others in a small corpus.
        bits: for each block of the corpus, (queries, bytes) which of its users are similar, packed along rows.
        similar: (queries,) number of users similar to each.
    """

    raw: Floats
    directions: Floats
    queries: Rows
    corpus: Rows
    pairs: PairSet
    tenth: Floats
    nearest: int
    bits: tuple[NDArray[np.uint8], ...]
    similar: Rows

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.bool_], NDArray[np.bool_]]]:
        """Blocks of the corpus: the slice, and (queries, block) whether similar, and whether the same user."""
        for where, bits in zip(corpus_blocks(len(self.queries), len(self.corpus)), self.bits, strict=True):
            similar = np.unpackbits(bits, axis=1, count=where.stop - where.start).astype(bool)
            yield where, similar, self.queries[:, None] == self.corpus[None, where]


def prepare_exam(
    raw: Floats,
    directions: Floats,
    examined: Rows,
    corpus: Rows,
    policy: PairPolicy,
    seed: int,
    workers: Workers = HERE,
) -> Exam:
    """An exam on the `examined` rows, among `corpus`; both are rows of the matrices that have a direction.

    Args:
        raw, directions: (capacity, width) the user matrix.
        examined: held-out rows.
        corpus: rows of everybody, `examined` among them, in order.
        policy: the threshold of similarity, and how many dissimilar users are sampled.
        seed: of the sample.
        workers: who compares all pairs.
    """
    nearest = max(0, min(NEAREST, len(corpus) - 1))
    hard = min(_HARD, max(0, len(corpus) - 1))
    work = partial(labels_of, threshold=policy.similarity_threshold, nearest=nearest, hard=hard)
    parts, blocks = parts_of(directions, examined), Blocks(directions, corpus, len(examined))
    tables = _tables(Scratch.beside(raw), len(examined), len(corpus))
    found, start = [], 0
    for part in workers.each(work, parts, blocks, len(examined) * len(corpus) * SECONDS_A_PAIR):
        for table, bits in zip(tables, part.bits, strict=True):
            table[start : start + len(bits)] = bits
        start += len(part.similar)
        found.append(replace(part, bits=()))
    best = joined([part.best for part in found])
    exam = Exam(
        raw=raw,
        directions=directions,
        queries=examined,
        corpus=corpus,
        pairs=PairSet(np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=bool)),
        tenth=best.values[:, -1] if nearest else np.zeros(len(examined), dtype=np.float32),
        nearest=nearest,
        bits=tables,
        similar=np.concatenate([part.similar for part in found]),
    )
    return _with_sample(exam, joined([part.hard for part in found]), policy, np.random.default_rng(seed))


def _tables(scratch: Scratch, asked: int, corpus: int) -> tuple[NDArray[np.uint8], ...]:
    """Room for `Exam.bits`."""
    widths = [(where.stop - where.start + 7) // 8 for where in corpus_blocks(asked, corpus)]
    room, ends = scratch.zeros((asked * sum(widths),), np.uint8), np.cumsum([0, *widths]) * asked
    return tuple(
        room[end - asked * width : end].reshape(asked, width) for width, end in zip(widths, ends[1:], strict=True)
    )


def _with_sample(exam: Exam, hard: Best, policy: PairPolicy, generator: np.random.Generator) -> Exam:
    taken = np.minimum(exam.similar, _POSITIVES)
    positives = _some_similar(exam, taken, generator)
    wanted = taken * policy.negative_ratio
    nearby = np.where(np.isfinite(hard.values), hard.rows, -1)
    nearest = np.minimum(wanted // 2, (nearby >= 0).sum(axis=1))
    first = np.arange(nearby.shape[1]) < nearest[:, None]
    near = np.stack([np.repeat(exam.queries, nearest), nearby[first]], axis=1)
    pair_users = np.repeat(exam.queries, wanted - nearest)
    others = draw_negatives(exam.directions, pair_users, exam.corpus, policy.similarity_threshold, generator)
    rows = np.concatenate([positives, near, others])
    sample = PairSet(rows, np.arange(len(rows)) < len(positives))
    return replace(exam, pairs=sample)


def _some_similar(exam: Exam, taken: Rows, generator: np.random.Generator) -> Rows:
    """(sum of taken, 2) for each query `taken` of its similar users, each with the same probability."""
    chosen = [
        np.sort(generator.choice(int(there), int(some), replace=False))
        for there, some in zip(exam.similar, taken, strict=True)
    ]
    found: list[list[Rows]] = [[] for _ in chosen]
    passed = np.zeros(len(chosen), dtype=np.int64)
    for where, similar, _ in exam.blocks():
        inside = similar.sum(axis=1)
        for query in np.flatnonzero(inside):
            numbers = chosen[query] - passed[query]
            columns = np.flatnonzero(similar[query])
            found[query].append(exam.corpus[where][columns[numbers[(numbers >= 0) & (numbers < len(columns))]]])
        passed += inside
    parts = [np.concatenate(rows) if rows else np.empty(0, dtype=np.int64) for rows in found]
    partners = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return np.stack([np.repeat(exam.queries, [len(part) for part in parts]), partners], axis=1)
