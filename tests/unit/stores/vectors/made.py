"""Vector sets without a model: a user's vector is computed from a number."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from schemas.jobs.vectors import Origin, Tower, VectorStamp
from stores.vectors.blocks import VectorBlock, VectorWriter
from stores.vectors.sets import SetWriter, only_writer

DIMENSION = 4
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def stamp(version: int, users: int, *, removed: int | None = 0, at: int = 0) -> VectorStamp:
    return VectorStamp(
        origin=Origin(model_name="m", version=version, towers=version),
        cycle_id=f"c{version}",
        space_id="s",
        dimension=DIMENSION,
        towers=tuple(Tower),
        users=users,
        computed=users,
        removed=removed,
        created_at=_BEGAN + timedelta(seconds=at),
    )


def block(rows: Mapping[str, int]) -> VectorBlock:
    """The vectors of some users; `rows` is the number by user."""
    users = sorted(rows)
    numbers = np.array([rows[user] for user in users], dtype=np.uint64)
    vectors = np.stack([numbers + at for at in range(DIMENSION)], axis=1).astype(np.float32)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)
    return VectorBlock(users, {Tower.QUERY: unit, Tower.CANDIDATE: -unit}, numbers)


def fill(writer: VectorWriter, rows: Mapping[str, int], size: int = 3) -> None:
    users = sorted(rows)
    for at in range(0, len(users), size):
        writer.add(block({user: rows[user] for user in users[at : at + size]}))


def publish(out: Path, version: int, rows: Mapping[str, int], *, removed: int | None = 0, at: int = 0) -> VectorStamp:
    made = stamp(version, len(rows), removed=removed, at=at)
    with only_writer(out):
        writer = SetWriter(out, tuple(Tower), DIMENSION)
        fill(writer, rows)
        writer.finish(made)
    return made
