"""benchmarks/results.json: a record for each kind of machine.

    {"kinds": {"AMD, bfloat16, 2 cores": {"machine": {...}, "rows": [...]}}}

A whole run replaces the record of its own kind; a part replaces its rows in it. No run touches another kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from benchmarks.rows import Row

Record = Mapping[str, Any]
"""What one kind of machine gave: the `machine` of the last whole run, and `rows`, as `Row.as_dict` with a `machine` of
their own where they were measured later."""
Kinds = Mapping[str, Record]
"""Records by kind of machine."""

_WIDEST = (("bfloat16", ("avx512_bf16", "amx_bf16")), ("AVX-512", ("avx512f",)), ("AVX2", ("avx2",)))


def kind(machine: Mapping[str, Any]) -> str:
    """The kind of a machine: maker, widest arithmetic, cores. Figures of one kind may stand beside each other."""
    name, _, flags = machine["cpu"].partition("(")
    has = {flag.strip() for flag in flags.rstrip(")").split(",")}
    arithmetic = next((word for word, needs in _WIDEST if has & set(needs)), "no wide arithmetic")
    maker = name.replace("(R)", "").split()[0] if name.split() else "unknown"
    return f"{maker}, {arithmetic}, {machine['cores']} core{'s' if machine['cores'] != 1 else ''}"


def read(path: Path) -> Kinds:
    """All records; none where there is no file."""
    return cast("Kinds", json.loads(path.read_text())["kinds"]) if path.exists() else {}


def write(path: Path, machine: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Put a whole run in the place of the record of its kind."""
    _put(path, {**read(path), kind(machine): {"machine": machine, "rows": [row.as_dict() for row in rows]}})


def merge(path: Path, machine: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Put some rows into the record of their kind, in the place of those of the same names or behind all others.

    Each says on which machine and when, as the others were measured at another time.
    """
    kinds, own = read(path), kind(machine)
    found = kinds.get(own, {"machine": machine, "rows": []})
    new = {row.name: {**row.as_dict(), "machine": machine} for row in rows}
    kept = [new.pop(row["name"], row) for row in found["rows"]]
    _put(path, {**kinds, own: {**found, "rows": [*kept, *new.values()]}})


def worst(kinds: Kinds) -> dict[str, tuple[str, Row]]:
    """Of each row, by name, the worst kind of machine and its row; rows in the order of the records."""
    found: dict[str, tuple[str, Row]] = {}
    for name, record in kinds.items():
        for each in record["rows"]:
            row = Row(**{field: value for field, value in each.items() if field != "machine"})
            if row.name not in found or badness(row) > badness(found[row.name][1]):
                found[row.name] = name, row
    return found


def badness(row: Row) -> tuple[int, float]:
    """Larger for the worse of two rows of one name.

    A missed target is worse than one that is met, one never reached is worst. A row that was not measured says nothing:
    it is the worst only where no other is there.
    """
    if row.ours is None:
        return (0, 0.0) if row.peer_value is None else (3, 0.0)
    missed = 1 if row.met else 2
    if row.target.startswith("ratio") and row.ratio is not None:
        return missed, -row.ratio
    more_is_better = row.target.startswith(">=") or row.unit.endswith("/s")
    return missed, -row.ours if more_is_better else row.ours


def _put(path: Path, kinds: Kinds) -> None:
    path.write_text(json.dumps({"kinds": kinds}, indent=2) + "\n")
