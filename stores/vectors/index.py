"""An index of vectors in a cluster, as publishing sees it: one space a group version, of which one counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.jobs.vectors import Origin
from stores.vectors.blocks import VectorBlock


@dataclass(frozen=True, slots=True)
class IndexSpace:
    """One version of the group: vectors of one model's towers, and no others (P10).

    Attributes:
        number: the version of the group.
        origin: whose vectors they are; None where the group does not say.
        complete: whether all vectors are there, so that it may be served from. The newest complete one counts.
    """

    number: int
    origin: Origin | None
    complete: bool


class VectorIndex(Protocol):
    """A store of vectors that answers queries for the nearest. One process at a time writes it."""

    def spaces(self) -> list[IndexSpace]:
        """All versions of the group, oldest first."""

    def create(self, origin: Origin, dimension: int) -> IndexSpace:
        """A new, empty version, which is not complete."""

    def upsert(self, space: IndexSpace, block: VectorBlock) -> None:
        """Write the vectors of some users; they are there when this returns."""

    def remove(self, space: IndexSpace, users: Sequence[str]) -> None:
        """Remove users; unknown ones are ignored."""

    def complete(self, space: IndexSpace, origin: Origin) -> None:
        """From now on this version counts, in one request."""

    def delete(self, space: IndexSpace) -> None:
        """Remove a version of the group with all that it holds."""
