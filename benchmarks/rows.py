"""A row of the table: one figure of ours, what it is compared with, and whether that is what was asked for.

A benchmark is a function from `Setup` to the rows it measured:

    def growth(setup: Setup) -> list[Row]:
        ...
        return [figure("pairs.growth", exponent, "exponent", most=1.05, note="25,000 to 400,000 users")]

It raises `NotMeasured` where something it needs is absent, and anything else where it fails: results that differ from
the peer's are a failure, never a row.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NO_TARGET = "none"


class NotMeasured(Exception):  # noqa: N818 - as StopIteration, it says how things are
    """A benchmark cannot be measured here; the message says what is absent."""


class ResultsDifferError(Exception):
    """Ours and the peer's results are not the same, so there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a benchmark is given."""

    quick: bool
    """Small sizes: shows that it works, measures nothing."""
    folder: Path
    """Empty, this benchmark's own, gone afterwards."""
    lastfm: Path | None
    """The listening log of real users, where it is at hand."""

    def size(self, full: int, quick: int) -> int:
        """`full`, or `quick` in a quick run."""
        return quick if self.quick else full

    def log(self) -> Path:
        """The listening log of real users.

        Raises:
            NotMeasured: it is not at hand.
        """
        if self.lastfm is None:
            raise NotMeasured("the listening log of real users is not at hand; name it with --lastfm")
        return self.lastfm


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ours` is None where there is no figure; then `met` is False and `note` says why."""

    name: str
    ours: float | None
    peer: str
    """Whom ours is compared with; empty where the target is a figure and not a comparison."""
    peer_value: float | None
    unit: str
    """Of `ours` and `peer_value`."""
    ratio: float | None
    """How many times better ours is than the peer's."""
    target: str
    met: bool
    note: str = ""

    @property
    def measured(self) -> bool:
        """Whether there is a figure."""
        return self.ours is not None

    def as_dict(self) -> dict[str, Any]:
        """As in results.json."""
        return asdict(self)


def faster(name: str, ours: float, peer: str, theirs: float, *, least: float, note: str = "") -> Row:
    """A row that compares wall times in seconds: met when the peer takes at least `least` times as long.

    Where `ours` is infinite, what was to be reached never was: there is no figure, and the note says so.
    """
    if math.isinf(ours):
        return Row(name, None, peer, theirs, "s", None, _ratio(least), met=False, note=f"never reached; {note}")
    return comparison(name, ours, peer, theirs, "s", ratio=theirs / ours, least=least, note=note)


def comparison(
    name: str, ours: float, peer: str, theirs: float, unit: str, *, ratio: float, least: float, note: str = ""
) -> Row:
    """A row whose target is a ratio: met when `ratio`, how many times better ours is, is at least `least`."""
    return Row(name, ours, peer, theirs, unit, ratio, _ratio(least), ratio >= least, note)


def _ratio(least: float) -> str:
    return f"ratio >= {least:,g}"


def figure(
    name: str,
    ours: float,
    unit: str,
    *,
    least: float | None = None,
    most: float | None = None,
    peer: str = "",
    theirs: float | None = None,
    also: tuple[str, bool] | None = None,
    note: str = "",
) -> Row:
    """A row whose target is on the figure itself, with a peer's figure beside it where there is one.

    Args:
        name, ours, unit, peer, theirs, note: see Row.
        least, most: what `ours` must reach, or stay within.
        also: a second condition, in words, and whether it holds, such as ("accuracy >= 0.965", accuracy >= 0.965).
    """
    wanted = [
        *([(f">= {least:,g}", ours >= least)] if least is not None else []),
        *([(f"<= {most:,g}", ours <= most)] if most is not None else []),
        *([also] if also is not None else []),
    ]
    if not wanted:
        raise ValueError(f"{name} has no target")
    target, met = ", ".join(text for text, _ in wanted), all(holds for _, holds in wanted)
    ratio = ours / theirs if theirs else None
    return Row(name, ours, peer, theirs, unit, ratio, target, met, note)


def told(name: str, ours: float, unit: str, *, note: str = "") -> Row:
    """A row to plan by: a figure that depends on the machine and on what a user has, so there is no target."""
    return Row(name, ours, "", None, unit, None, NO_TARGET, met=True, note=note)


def not_measured(name: str, target: str, why: str) -> Row:
    """The row of a benchmark that gave no figure."""
    return Row(name, None, "", None, "", None, target, met=False, note=f"not measured: {why}")
