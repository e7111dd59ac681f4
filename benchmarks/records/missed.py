"""The table of missed targets in docs/learning.md: no kind of machine is left out, and the worst one counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.records.store import Kinds
from benchmarks.rows import NO_TARGET

BEGIN, END = "<!-- missed: begin -->", "<!-- missed: end -->"


def tables(kinds: Kinds) -> str:
    """Each row that misses its target on some kind of machine, with its figure on every kind."""
    by_kind = {name: {row["name"]: row for row in record["rows"]} for name, record in kinds.items()}
    names = dict.fromkeys(row for rows in by_kind.values() for row in rows)
    missed = [
        name
        for name in names
        if any(rows[name]["target"] != NO_TARGET and not rows[name]["met"] for rows in by_kind.values() if name in rows)
    ]
    lines = [["row", "target", *by_kind], ["---", "---", *["---:"] * len(by_kind)]]
    lines += [
        [f"`{name}`", _target(name, by_kind), *(_figure(rows.get(name)) for rows in by_kind.values())]
        for name in missed
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _target(name: str, by_kind: Mapping[str, Mapping[str, Any]]) -> str:
    return " / ".join(dict.fromkeys(rows[name]["target"] for rows in by_kind.values() if name in rows))


def _figure(row: Mapping[str, Any] | None) -> str:
    """The figure that the target is about, bold where it misses it."""
    if row is None or (row["ours"] is None and row["peer_value"] is None):
        return "not measured"
    if row["ours"] is None:
        return "**never reached**"
    value = row["ratio"] if row["target"].startswith("ratio") else row["ours"]
    unit = "" if row["target"].startswith("ratio") else f" {row['unit']}"
    told = f"{value:,.0f}{unit}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".") + unit
    return told if row["met"] else f"**{told}**"
