"""Versions as rows for people: where there is little room, what says least is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrainer.cli.output import fitting, listing, say

_FIGURES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "AP": "average_precision",
    "recall@10": "recall_at_10",
}
_OUTCOMES = {"AUC": "outcome_auc", "recall@50": "recall_at_50"}
_BEFORE, _CHAMPIONS, _WHY = "before", "champion's", "why"
_TEXTS = {"version", "kind", "registered", _WHY}
_BESIDE_OUTCOMES = ("precision", "recall", "AP", _CHAMPIONS)
"""What only guards where labels judge."""
_STANDINGS = {
    "barred": "something kept it from becoming champion; `retrainer show VERSION` says what",
    "withdrawn": "by a rollback; no challenger is measured against it",
    "deleted": "from the registry, by retention",
}
_LEAST_NEEDED = (
    "pairs",
    _CHAMPIONS,
    "kind",
    "AP",
    "recall@50",
    "precision",
    "labels",
    "recall",
    "base",
    "users",
    "recall@10",
)


def list_versions(found: Sequence[dict[str, Any]], by: str | None = None) -> None:
    """A row for every version, and below the rows what the columns mean; the figure `by` is always among them."""
    rows = [_row(version, by) for version in found]
    wanted = _head(by)
    heads = [head for head in rows[0] if head in {wanted, *_of_interest(found, list(rows[0]))}]
    heads = fitting(heads, rows, [head for head in _LEAST_NEEDED if head != wanted])
    listing(heads, [[row[head] for head in heads] for row in rows], right=set(heads) - _TEXTS)
    say("* champion")
    for word, meaning in _STANDINGS.items():
        if any(_standing(version) == word for version in found):
            say(f"{word}: {meaning}")
    if _CHAMPIONS in heads:
        say("champion's: accuracy of the one before, at the same moment")
    if _BEFORE in heads:
        say("AUC: of held-out labels")
        say("before: AUC of the champion on the new labels")


def _of_interest(found: Sequence[dict[str, Any]], heads: list[str]) -> list[str]:
    left_out: set[str] = set()
    if not any(version["changed_labels"] for version in found):
        left_out |= {"labels"}
    if any((version["metrics"] or {}).get("outcome_auc") for version in found):
        left_out |= set(_BESIDE_OUTCOMES)
    else:
        left_out |= {*_OUTCOMES, _BEFORE}
    return [head for head in heads if head not in left_out]


def _head(figure: str | None) -> str | None:
    """The column of a figure."""
    return next((head for head, name in {**_FIGURES, **_OUTCOMES}.items() if name == figure), figure)


def _row(version: dict[str, Any], by: str | None) -> dict[str, str]:
    gate, metrics = version["gate"] or {}, version["metrics"] or {}
    accuracy, *others = ((name, _figure(metrics.get(field))) for name, field in _FIGURES.items())
    return {
        "version": f"{version['version']}{_mark(version)}",
        "kind": version["kind"],
        "base": str(version["base_version"] or "-"),
        "users": str(version["changed_users"]),
        "labels": str(version["changed_labels"]),
        "pairs": "-" if version["pairs"] is None else str(version["pairs"]),
        **dict([accuracy]),
        _CHAMPIONS: _figure((gate.get("champion") or {}).get("accuracy")),
        **dict(others),
        **{name: _figure(metrics.get(field)) for name, field in _OUTCOMES.items()},
        _BEFORE: _figure((version["probe"] or {}).get("auc")),
        **({} if by is None else {str(_head(by)): _figure(metrics.get(by))}),
        "registered": version["registered_at"][:16].replace("T", " "),
        _WHY: version["reason"],
    }


def _mark(version: dict[str, Any]) -> str:
    if version["champion"]:
        return " *"
    word = _standing(version)
    return f" {word}" if word else ""


def _standing(version: dict[str, Any]) -> str | None:
    """What has become of a version that is not the champion, in a word; what says most where several hold."""
    if version["champion"]:
        return None
    if version["deleted_at"]:
        return "deleted"
    if version["withdrawn"]:
        return "withdrawn"
    return "barred" if version["not_promoted"] else None


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
