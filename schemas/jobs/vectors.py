"""Vector sets: what is asked for, and the stamp that says of which version the vectors are (P10).

A vector set is a folder below the folder `out` that a server watches:

    current.json         the name of the set that counts now; replaced in one rename
    pushed.json          the name of the set that a feature group has, where there is one
    set-VERSION-TIME/    queries.parquet, candidates.parquet, and stamp.json, which is written last
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from schemas.base import Frozen
from schemas.compatibility import CompatibilityReport
from schemas.cycle import TrainerSettings

CURRENT_FILE, STAMP_FILE, PUSHED_FILE = "current.json", "stamp.json", "pushed.json"
SET_PREFIX = "set-"
ENDINGS = (".parquet", ".npz")
STAMP_KEY = "retrainer.stamp"
"""Under this name every file of vectors holds the stamp, too."""


class Tower(StrEnum):
    """One of the two towers of a model."""

    QUERY = "query"
    CANDIDATE = "candidate"

    @property
    def file(self) -> str:
        """The file of its vectors in a set."""
        return {"query": "queries.parquet", "candidate": "candidates.parquet"}[self.value]


class Origin(Frozen):
    """Where a vector comes from: all that decides which others it may meet."""

    model_name: str
    version: int
    """The version whose towers made the vector."""
    towers: int
    """The version that has these towers first: later ones that learned nothing have the same."""
    sha256: dict[Tower, str] = {}
    """Of the files of the towers; equal files make equal vectors. Empty where they are not known."""
    index_compatible_with: int | None = None
    """The earlier version whose candidates queries of this one may meet."""
    compatibility: CompatibilityReport | None = None
    """How well."""


class VectorStamp(Frozen):
    """What a vector set is."""

    format: Literal[1] = 1
    origin: Origin
    cycle_id: str
    """The cycle that made the version."""
    space_id: str
    dimension: Annotated[int, Field(ge=1)]
    towers: tuple[Tower, ...]
    """The towers whose vectors are there."""
    users: Annotated[int, Field(ge=0)]
    without_direction: int = 0
    """Users who are left out, as their features are all zero and say nothing."""
    as_of: str | None = None
    """The last settled cycle: what it and those before have learned is in the rows. None where that is not known."""
    computed: int
    """Vectors of so many users were computed; those of the others come from the set before."""
    removed: int | None
    """So many users of the set before are not in this one; None where that is not known."""
    made_from: str | None = None
    """The set before, where the towers stayed and only changes were computed; None where all of it is new."""
    created_at: AwareDatetime


class VectorsRequest(Frozen):
    """What `python -m trainer.vectors` is asked for."""

    settings: TrainerSettings
    version: int
    champion: int | None
    """Its embedding space holds every user's row."""
    as_of: str | None
    """The last settled cycle: a space to which it was not applied has missed changes and is not used."""
    out: Path
    """A folder for sets, or a file: `.parquet` or `.npz`."""
    towers: tuple[Tower, ...] = (Tower.QUERY, Tower.CANDIDATE)
    changed_only: bool = False
    """Compute only what changed since the set that is there, where the towers are the same."""
    feature_group: str | None = None
    """The feature group that gets the set, too; None for none."""

    @property
    def ending(self) -> str:
        """`.parquet` or `.npz` for one file, nothing for a folder of sets."""
        return self.out.suffix if self.out.suffix in ENDINGS else ""


def current_set(out: Path) -> Path | None:
    """The folder of the set that counts now; None where there is none."""
    try:
        name = json.loads((out / CURRENT_FILE).read_bytes())["set"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return out / name if isinstance(name, str) and Path(name).name == name else None


def is_pushed(out: Path, group: str) -> bool:
    """Whether a feature group has the set that counts now."""
    current = current_set(out)
    try:
        noted = json.loads((out / PUSHED_FILE).read_bytes())
        return current is not None and (noted["group"], noted["set"]) == (group, current.name)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def holds_removed(out: Path) -> bool:
    """Whether a set of before is still there although users were removed since: its writer was killed."""
    current = current_set(out)
    stamp = stamp_of(current)
    return stamp is not None and stamp.removed != 0 and any(path != current for path in out.glob(f"{SET_PREFIX}*"))


def stamp_of(folder: Path | None) -> VectorStamp | None:
    """The stamp of a set; None where there is no whole set."""
    if folder is None:
        return None
    try:
        return VectorStamp.model_validate_json((folder / STAMP_FILE).read_bytes())
    except (OSError, ValidationError):
        return None
