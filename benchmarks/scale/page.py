"""The tables of docs/scale.md, written from benchmarks/results.json; pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.records.store import Kinds, Record
from benchmarks.scale.paper import CORES, PRICE, Figures, line, plan
from benchmarks.sizing.page import machine_in_words, markdown, with_unit

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
ON_PAPER = (10_000_000, 100_000_000)
_KINDS = {"full": "A full cycle", "incremental": "A cycle in which 1 % of the users have changed"}
_STEPS = ("read", "embed", "pair", "base", "probe", "fit", "gate", "package", "register", "vectors")


def figures(record: Record) -> dict[int, Figures]:
    """The figures of each size that was measured, smallest first."""
    found: dict[int, dict[str, float]] = {}
    for row in record["rows"]:
        head, _, rest = row["name"].partition(".")
        if head == "scale" and row["ours"] is not None:
            size, _, name = rest.partition(".")
            found.setdefault(int(size), {})[name] = row["ours"]
    return dict(sorted(found.items()))


def tables(kinds: Kinds) -> str:
    """All that stands between the marks: of each kind of machine that measured a size."""
    found = [(name, record) for name, record in kinds.items() if figures(record)]
    if not found:
        return "Nothing has been measured yet: `make bench ONLY=scale. KEEP=1`."
    return "\n\n".join(f"On **{name}**:\n\n{_of_kind(record)}" for name, record in found)


def _of_kind(record: Record) -> str:
    found = figures(record)
    parts = [_kind(found, kind, title, record) for kind, title in _KINDS.items()]
    parts += [_machines(record)]
    if len(found) >= 2:
        parts.append(_paper(found))
    return "\n\n".join(parts)


def _kind(found: Mapping[int, Figures], kind: str, title: str, record: Record) -> str:
    partial = _partial(record)
    lines = []
    for step in _STEPS:
        cells = [
            _cell(told, f"{kind}.{step}", f"scale.{size}.{kind}.{step}" in partial) for size, told in found.items()
        ]
        if any(cells):
            lines.append([step, *(cell or "-" for cell in cells)])
    notes = [f"- \\* {name}: {why}" for name, why in partial.items() if f".{kind}." in name]
    table = markdown(["step", *(f"{size:,} users" for size in found)], lines)
    return "\n\n".join(
        [f"{title}, seconds and peak memory of each step:", table, *(["\n".join(notes)] if notes else [])]
    )


def _cell(told: Figures, name: str, partial: bool) -> str:
    if name not in told:
        return ""
    mark = " \\*" if partial else ""
    return f"{with_unit(told[name], 's')}, {with_unit(told.get(f'{name}.memory'), 'MiB')}{mark}"


def _partial(record: Record) -> dict[str, str]:
    """The steps of which a part was measured, each with what that part is."""
    found = {}
    for row in record["rows"]:
        name, note = row["name"], row["note"]
        if name.startswith("scale.") and note.startswith("only ") and not name.endswith(".memory"):
            found[name] = note.split(";")[0]
    return found


def _machines(record: Record) -> str:
    rows = [row for row in record["rows"] if row["name"].startswith("scale.") and row["ours"] is not None]
    machines = sorted({machine_in_words(row["machine"]) for row in rows if "machine" in row})
    busy = sorted({int(row["name"].split(".")[1]) for row in rows if "busy" in row["note"]})
    shared = (
        f" Beside other work, so slower than alone: {', '.join(f'{size:,}' for size in busy)} users." if busy else ""
    )
    return f"Measured on {'; '.join(machines)}.{shared}"


def _paper(found: Mapping[int, Figures]) -> str:
    lines = []
    for users in ON_PAPER:
        for kind in _KINDS:
            told = plan(found, kind, users)
            names = {name for told in found.values() for name in told if name.startswith(kind) and "memory" in name}
            most = max(line(found, name, users) for name in names)
            lines.append(
                [
                    f"{users:,}, {kind}",
                    with_unit(told.pairs, "s"),
                    with_unit(told.rest, "s"),
                    "no number: the rest is too long" if told.workers is None else f"{told.workers:,}",
                    f"${told.cost:,.2f}",
                    with_unit(most, "MiB"),
                    with_unit(line(found, "space", users), "MiB"),
                ]
            )
    head = ["users", "pairs", "all else", "workers", "cost of a cycle", "memory", "disk"]
    premises = (
        f"On paper, nobody has measured it. A worker has {CORES} cores; a cycle is to end within ten minutes; a core "
        f"costs ${PRICE:.2f} an hour:"
    )
    return f"{premises}\n\n{markdown(head, lines)}"
