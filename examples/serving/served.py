"""What is served: where it lies, and which model answers by which vectors. Light, as each worker imports it first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where versions, rows and vectors lie."""

    registry: Path
    """The folder of the model, with a folder for each version."""
    feature_store: Path
    vectors: Path | None = None
    """The folder of vector sets; None where the server computes vectors by itself."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model, and the vectors that its queries meet."""

    version: int
    """Of the model."""
    vectors: int
    """The version whose candidate tower made the vectors."""
    kept: float | None = None
    """Where the versions differ, the share of the recall of `vectors` that queries of `version` keep: 1 where the
    towers are the same, None where nobody has measured it."""
    set: str | None = None
    """The name of the vector set; None where the server has computed the vectors."""
