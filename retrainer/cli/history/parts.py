"""A long answer in parts: each a title with facts below it, or with a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from retrainer.cli.output import cell, facts, fitting, listing, say, several_lines, show


@dataclass(frozen=True, slots=True)
class Part:
    """A part with facts, with a table, or with both; one with neither is left out."""

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    heads: Sequence[str] = ()
    """The columns of the table."""
    rows: Sequence[Sequence[str]] = ()
    texts: frozenset[str] = frozenset()
    """The columns that hold no figures."""
    long_last: bool = False
    """Whether the last column may be long, and stand below its row."""
    least_needed: Sequence[str] = ()
    """The columns that are left out where there is little room, the least needed first."""
    notes: Sequence[str] = ()
    """Sentences below it."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not self.facts and not self.rows and not self.notes


def draw(parts: Iterable[Part]) -> None:
    """Write the parts that are not empty, with a blank line between them."""
    for number, part in enumerate(part for part in parts if not part.empty):
        if number:
            say()
        if part.title:
            show(cell(part.title, "bold underline"))
        if part.facts:
            facts(part.facts)
        if part.rows:
            _draw_table(part)
        for note in part.notes:
            show(several_lines(note))


def _draw_table(part: Part) -> None:
    last = () if part.long_last else ("",)  # an empty last column, so that none of the others stands below its row
    every = [*part.heads, *last]
    rows = [dict(zip(every, [*row, *last], strict=True)) for row in part.rows]
    heads = fitting(every, rows, part.least_needed)
    listing(heads, [[row[head] for head in heads] for row in rows], right=set(heads) - part.texts)
