"""What an audience offers, and what a wave of changes is.

An audience is deterministic: the same arguments give the same rows and the same waves, so a simulator that is started
again finds its place by counting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.features import Column
from schemas.labels import PairKey

Row = Mapping[str, NDArray[np.float32]]
"""One user's features: values by column name."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Changes that belong together and are committed at one time.

    `newcomers` of the `upserts` are users who were not there before. No user is in both `upserts` and `deletes`, and no
    pair in both `follows` and `unfollows`.
    """

    title: str
    upserts: Mapping[str, Row] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()
    newcomers: int = 0
    follows: tuple[PairKey, ...] = ()
    """Who follows whom from now on: each a pair label."""
    unfollows: tuple[PairKey, ...] = ()
    """Follows that are taken back."""

    @property
    def changed(self) -> int:
        """Users who were there before and have new features."""
        return len(self.upserts) - self.newcomers


@dataclass(frozen=True, slots=True)
class Committed:
    """One wave that is in the store and whose events are on the topic. Wave 0 is the filling of an empty store."""

    wave: int
    title: str
    changed: int
    new: int
    deleted: int
    users: int
    """In the store now."""
    events: int
    """Published with it, older ones that had waited included."""
    follows: int = 0
    unfollows: int = 0


class Audience(Protocol):
    """Where the simulator's users come from."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The embedding columns of every row."""

    @property
    def name(self) -> str:
        """What kind of listeners these are, in a few words."""

    def initial(self) -> Wave:
        """Everybody who is there at the beginning."""

    def waves(self) -> Iterator[Wave]:
        """What happens afterwards, in order; each wave builds on those before it. Ends when nothing is left to happen.

        Call it once; `initial` is called before it or not at all.
        """


@dataclass(frozen=True, slots=True)
class Mix:
    """What a wave is made of, as shares of all users.

    `following` is how many others each of them begins to follow, on average. `new_genres` are what newcomers like
    where listeners follow each other.
    """

    changing: float = 0.0
    joining: float = 0.0
    leaving: float = 0.0
    following: float = 0.0
    new_genres: bool = False


MIXES = (Mix(changing=0.10), Mix(joining=0.08), Mix(leaving=0.08), Mix(changing=0.06, joining=0.04, leaving=0.03))
"""One kind of change after another, then all at once, and again from the start."""


def share(users: int, part: float) -> int:
    """How many users a part of them is: at least one, unless the part is nothing."""
    return min(users, max(1, round(users * part))) if part > 0 else 0


def in_words(*parts: tuple[int, str, str]) -> str:
    """`1 new user, 20 users leave` out of (count, singular, plural); what there is none of is left out."""
    return ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count)
