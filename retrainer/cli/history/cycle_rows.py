"""Cycles as rows for people: where there is little room, what says least is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrainer.cli.history.words import NOTHING, between, count, figure, long, share
from retrainer.cli.output import fitting, listing, say
from schemas.cycle import Step
from schemas.guard import GuardName

_WHY = "why"
_FIGURES = {"accuracy": "accuracy", "recall@10": "recall_at_10"}
_OUTCOMES = {"AUC": "outcome_auc", "recall@50": "recall_at_50"}
_CHAMPIONS = "champion's"
_TEXTS = {"cycle", "kind", "outcome", "claimed", _WHY}
_LEAST_NEEDED = (
    *(f"{step} s" for step in Step),
    "base",
    "deleted",
    "refused",
    "recall@50",
    _CHAMPIONS,
    "recall@10",
    "labels",
    "claimed",
    "kind",
    "took",
    "users",
)


def list_cycles(found: Sequence[dict[str, Any]]) -> None:
    """A row for every cycle, and below the rows what the columns mean."""
    rows = [row(cycle) for cycle in found]
    heads = fitting(_of_interest(found, list(rows[0])), rows, _LEAST_NEEDED)
    listing(heads, [[each[head] for head in heads] for each in rows], right=set(heads) - _TEXTS)
    if any(cycle["version"] and cycle["version"]["champion"] for cycle in found):
        say("* champion")
    if "refused" in heads:
        say("refused, deleted: shares, as the guard measures them")
    if _CHAMPIONS in heads:
        say("champion's: accuracy of the champion then, at the same moment")


def row(cycle: dict[str, Any]) -> dict[str, str]:
    """The cells of a cycle by column."""
    result = cycle["result"] or {}
    gate = result.get("gate") or {}
    scores, seconds = gate.get("challenger") or {}, result.get("seconds") or {}
    took = between(cycle["claimed_at"], cycle["ended_at"])
    return {
        "cycle": cycle["cycle_id"],
        "kind": cycle["kind"],
        "outcome": cycle["state"],
        "base": str(cycle["base_version"] or NOTHING),
        "version": _version(cycle["version"]),
        "users": count(cycle["lineage"]["changed_users"]),
        "labels": count(cycle["lineage"].get("changed_labels", 0)),
        "refused": share(measured(result, GuardName.REFUSED_SHARE)),
        "deleted": share(measured(result, GuardName.DELETED_SHARE)),
        **{head: figure(scores.get(name)) for head, name in _FIGURES.items()},
        _CHAMPIONS: figure((gate.get("champion") or {}).get("accuracy")),
        **{head: figure(scores.get(name)) for head, name in _OUTCOMES.items()},
        **{f"{step} s": figure(seconds.get(step), 1) for step in Step},
        "took": NOTHING if took is None else long(took),
        "claimed": cycle["claimed_at"][:16].replace("T", " "),
        _WHY: "; ".join(filter(None, [cycle["reason"], result.get("reason") or cycle["last_error"]])),
    }


def measured(result: dict[str, Any], name: GuardName) -> float | None:
    """A figure of the guard; None where it was not measured."""
    findings = (result.get("guard") or {}).get("findings") or []
    return next((one["figure"] for one in findings if one["name"] == name), None)


def _version(version: dict[str, Any] | None) -> str:
    return NOTHING if version is None else f"{version['version']}{' *' if version['champion'] else ''}"


def _of_interest(found: Sequence[dict[str, Any]], heads: list[str]) -> list[str]:
    left_out: set[str] = set()
    if not any(cycle["lineage"].get("changed_labels") for cycle in found):
        left_out |= {"labels"}
    gates = [(cycle["result"] or {}).get("gate") or {} for cycle in found]
    if any(gate.get("judged_by") == "outcomes" for gate in gates):
        left_out |= {_CHAMPIONS}
    else:
        left_out |= set(_OUTCOMES)
    return [head for head in heads if head not in left_out]
