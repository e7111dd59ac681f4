"""The tables of docs/sizing.md, written from benchmarks/results.json, by kind of machine; pure functions of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.records.store import Kinds, Record

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PLANNED = (300_000, 1_000_000)
"""Sizes that nobody has measured, and that the rule is asked about."""
QUADRATIC = "first.pair"
"""The step that holds everybody against everybody. All else grows by as much with each user."""

_COLUMNS = (
    ("first", "first cycle", "s"),
    ("cycle", "cycle of 1 %", "s"),
    ("trainer", "trainer's memory", "MiB"),
    ("consumer", "consumer's memory", "MiB"),
    ("together", "all memory", "MiB"),
    ("space", "trainers' folder", "MiB"),
    ("version", "a version", "MiB"),
    ("ledger", "ledger", "MiB"),
    ("events", "events", "/s"),
)
_STEPS = ("first.read", "first.embed", "first.pair", "first.fit", "first.gate", "cycle")
_RULED = ("first", "cycle", "trainer", "consumer", "together", "space", "version", "ledger")
_TOO_SHORT = 0.1
"""Seconds of a step under which its growth tells nothing."""

Figures = Mapping[str, float]
"""Of one size: each figure by its name."""


def figures(record: Record) -> dict[int, Figures]:
    """The figures of each size that was measured, smallest first."""
    found: dict[int, dict[str, float]] = {}
    for row in record["rows"]:
        head, _, rest = row["name"].partition(".")
        if head == "sizing" and row["ours"] is not None:
            size, _, name = rest.partition(".")
            found.setdefault(int(size), {})[name or "first"] = row["ours"]
    return dict(sorted(found.items()))


def estimated(found: Mapping[int, Figures], users: int) -> dict[str, float]:
    """What the rule says of a size: a straight line through the two largest, and the pairs by the square."""
    (small, less), (large, more) = list(found.items())[-2:]

    def line(low: float, high: float) -> float:
        return high + (high - low) / (large - small) * (users - large)

    told = {name: line(less[name], more[name]) for name in _RULED}
    rest = line(less["first"] - less[QUADRATIC], more["first"] - more[QUADRATIC])
    return told | {"first": rest + more[QUADRATIC] * (users / large) ** 2}


def tables(kinds: Kinds) -> str:
    """All that stands between the marks: of each kind of machine that measured a size."""
    found = [(name, record) for name, record in kinds.items() if figures(record)]
    return "\n\n".join(f"On **{name}**:\n\n{_of_kind(record)}" for name, record in found)


def _of_kind(record: Record) -> str:
    found = figures(record)
    parts = [_measured(found), _machines(record)]
    if len(found) >= 2:
        parts += [_growth(found), _planned(found)]
    if len(found) >= 3:
        parts.append(_tried(found))
    return "\n\n".join(parts)


def _measured(found: Mapping[int, Figures]) -> str:
    lines = [
        [f"{size:,}", *(with_unit(told.get(name), unit) for name, _, unit in _COLUMNS)] for size, told in found.items()
    ]
    return markdown(["users", *(title for _, title, _ in _COLUMNS)], lines)


def _machines(record: Record) -> str:
    """On what, when, and which sizes had to share the machine."""
    rows = [row for row in record["rows"] if row["name"].startswith("sizing.") and row["ours"] is not None]
    machines = sorted({machine_in_words(row["machine"]) for row in rows if "machine" in row})
    busy = sorted({int(row["name"].split(".")[1]) for row in rows if "busy" in row["note"]})
    shared = f" Beside other work, so slower than alone: {_listed(busy)} users." if busy else ""
    return f"Measured on {'; '.join(machines)}.{shared}"


def machine_in_words(machine: Mapping[str, Any]) -> str:
    """A machine of results.json."""
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['date']}"


def _growth(found: Mapping[int, Figures]) -> str:
    """How each step grows: the power of the number of users, between neighbouring sizes."""
    sizes = list(found)
    steps = list(pairwise(sizes))
    head = ["step", *(f"{small:,} to {large:,}" for small, large in steps)]
    lines = [[_in_words(name), *(_power(found, name, *step) for step in steps)] for name in _STEPS]
    return "How seconds grow, as a power of the number of users (1: as users do, 2: as their square):\n\n" + markdown(
        head, lines
    )


def _power(found: Mapping[int, Figures], name: str, small: int, large: int) -> str:
    less, more = found[small].get(name, 0.0), found[large].get(name, 0.0)
    if less < _TOO_SHORT or more < _TOO_SHORT:
        return "too short to tell"
    return f"{math.log(more / less) / math.log(large / small):.1f}"


def _planned(found: Mapping[int, Figures]) -> str:
    lines = [[f"{users:,}", *_by_rule(estimated(found, users))] for users in PLANNED]
    return "What the rule says of more users; nobody has measured these:\n\n" + markdown(_rule_head(), lines)


def _tried(found: Mapping[int, Figures]) -> str:
    """The rule asked about the largest size that was measured, from the others alone."""
    largest = max(found)
    told = estimated({size: each for size, each in found.items() if size < largest}, largest)
    lines = [["by the rule", *_by_rule(told)], ["measured", *_by_rule(found[largest])]]
    return f"How good the rule is: {largest:,} users, from the smaller sizes alone:\n\n" + markdown(
        _rule_head(""), lines
    )


def _rule_head(first: str = "users") -> list[str]:
    titles = {name: title for name, title, _ in _COLUMNS}
    return [first, *(titles[name] for name in _RULED)]


def _by_rule(told: Figures) -> list[str]:
    units = {name: unit for name, _, unit in _COLUMNS}
    return [with_unit(told.get(name), units[name]) for name in _RULED]


def _in_words(step: str) -> str:
    return f"first cycle: {step.removeprefix('first.')}" if step.startswith("first.") else "cycle of 1 %"


def with_unit(value: float | None, unit: str) -> str:
    """A figure as the tables show it."""
    if value is None:
        return "not measured"
    if unit == "MiB" and value >= 10_240:
        value, unit = value / 1024, "GiB"
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size:,}" for size in sizes)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; numbers stand on the right."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] + ["---:"] * (len(head) - 1), *lines))
