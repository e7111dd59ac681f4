"""What guard and gate saw of a cycle: findings with limits, figures, comparisons, slices, compatibility."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrainer.cli.history.parts import Part
from retrainer.cli.history.words import FIGURES, NOTHING, change, count, figure, value

Record = dict[str, Any]

_LEAST_NEEDED = ("users", "margin", "theirs", "ours", "of")


def judgement(result: Record) -> Iterator[Part]:
    """The parts of a result that judge; empty ones where it was not judged."""
    gate = result.get("gate") or {}
    yield _guard(result.get("guard"))
    yield _figures(gate)
    yield _comparisons(gate)
    yield _slices(gate.get("slices") or {})
    yield _compatibility(result.get("compatibility"))


def _guard(guard: Record | None) -> Part:
    if guard is None:
        return Part("")
    heads = ("figure", "measured", "limit", "of", "verdict", "detail")
    rows = [
        (one["name"], f"{one['figure']:.4g}", f"{one['limit']:g}", count(one["of"]), _verdict(one), one["detail"] or "")
        for one in guard["findings"]
    ]
    return Part("Guard", {}, heads, rows, frozenset({"figure", "verdict", "detail"}), long_last=True)


def _verdict(finding: Record) -> str:
    if not finding["exceeded"]:
        return "fine"
    return "accepted" if finding["accepted"] else "above the limit"


def _figures(gate: Record) -> Part:
    models = [name for name in ("challenger", "champion", "fresh") if gate.get(name)]
    if not models:
        return Part("Gate", {}, notes=[gate["reason"]] if gate.get("reason") else [])
    rows = []
    for name, told in FIGURES.items():
        scores = [(gate[model] or {}).get(name) for model in models]
        if any(one is not None for one in scores):
            rows.append((told, *map(figure, scores), change(_difference(gate, name))))
    heads = ("figure", *(f"{model} start" if model == "fresh" else model for model in models), "difference")
    asked = f"{count(gate['users'])} held-out users, {count(gate['pairs'])} pairs"
    labels = f", {count(gate['labels'])} labels" if gate.get("labels") else ""
    notes = [*(gate.get("notes") or ())]
    if gate.get("needed_users"):
        notes.append(f"to tell, about {count(gate['needed_users'])} held-out users are needed")
    return Part(
        f"Figures, of {asked}{labels}",
        {},
        heads,
        rows,
        frozenset({"figure"}),
        least_needed=("fresh start",),
        notes=notes,
    )


def _difference(gate: Record, name: str) -> float | None:
    ours, theirs = ((gate.get(model) or {}).get(name) for model in ("challenger", "champion"))
    return None if ours is None or theirs is None else ours - theirs


def _comparisons(gate: Record) -> Part:
    heads = ("verdict", "figure", "against", "of", "users", "ours", "theirs", "difference", "at worst", "margin")
    rows = [
        (
            one["verdict"] + (" (rail)" if one.get("guard_rail") else ""),
            FIGURES.get(one["figure"], one["figure"]),
            one["against"],
            one["slice"] or "all",
            count(one["users"]),
            figure(one["challenger"]),
            figure(one["other"]),
            change(one["difference"]),
            change(one["lower"]),
            NOTHING if one["margin"] is None else value(one["margin"]),
        )
        for one in gate.get("comparisons") or ()
    ]
    texts = frozenset({"verdict", "figure", "against", "of"})
    return Part("Gate, the worst first", {}, heads, rows, texts, least_needed=_LEAST_NEEDED)


def _slices(slices: Record) -> Part:
    heads = ("slice", "users", "pairs", "accuracy", "champion's", "recall@10", "champion's @10")
    rows = []
    for name, one in slices.items():
        ours, theirs = one.get("challenger") or {}, one.get("champion") or {}
        figures = [scores.get(of) for of in ("accuracy", "recall_at_10") for scores in (ours, theirs)]
        rows.append((name, count(one["users"]), count(one["pairs"]), *map(figure, figures)))
    return Part("Slices of the held-out users", {}, heads, rows, frozenset({"slice"}), least_needed=("pairs",))


def _compatibility(found: Record | None) -> Part:
    if found is None:
        return Part("")
    may = "may go on being used" if found["compatible"] else "may not be used"
    told = (
        f"vectors of version {found['version']} {may}: queries of this one keep {found['kept']:.3f} of its recall@10 "
        f"among them ({figure(found['recall'])} of {figure(found['own_recall'])}; the limit is {found['limit']:g})"
    )
    towers = "" if found.get("towers_changed", True) else "the towers are the same, so every vector stays good"
    return Part("Served together", {}, notes=[one for one in (told, towers) if one])
