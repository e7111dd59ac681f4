"""`retrainer versions`: what was registered, why, and on what."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings

_FIGURES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "AP": "average_precision",
    "recall@10": "recall_at_10",
}
_OUTCOMES = {"AUC": "outcome_auc", "recall@50": "recall_at_50"}
_BEFORE = "before"
_ROOMY = 140  # characters; on a narrower screen what says least is left out
_LEFT_OUT = {"kind", "pairs", "champion's"}
_TEXTS = {"kind", "why", "registered"}
_WIDTH_IN_FILES = 150
_SHOWN = 20


def versions(
    as_json: Annotated[
        bool, typer.Option("--json", help="For machines, oldest first, with offsets and all figures; of all versions.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help=f"At most so many. [default: {_SHOWN}]")] = None,
) -> None:
    """List the newest registered versions, newest first."""
    newest = limit or (None if as_json else _SHOWN)
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found, known = ledger.views.versions(newest), ledger.views.count_versions()
    if as_json:
        typer.echo(json.dumps(found))
    elif not found:
        typer.echo("no version is registered yet")
    else:
        console = Console()
        if not console.is_terminal:
            console.width = _WIDTH_IN_FILES
        console.print(table(found[::-1], console.width))
        if known > len(found):
            typer.echo(f"and {known - len(found)} earlier ones: --limit {known} shows all")


def table(found: list[dict[str, Any]], width: int) -> Table:
    """One row for every version, in their order, for a screen of `width` characters."""
    made = Table(box=None, pad_edge=False)
    rows = [_row(version, width >= _ROOMY) for version in found]
    left_out = set() if width >= _ROOMY else _LEFT_OUT
    if not any(version["changed_labels"] for version in found):
        left_out = left_out | {"labels"}
    if not any((version["metrics"] or {}).get("outcome_auc") for version in found):
        left_out = left_out | {*_OUTCOMES, _BEFORE}
    else:  # labels judge then, and the rest is a guard-rail
        left_out = left_out | {"precision", "recall", "AP", "champion's"}
        left_out = left_out if width >= _ROOMY else left_out | {"accuracy", "users", "recall@50"}
    shown = [name for name in rows[0] if name not in left_out]
    for name in shown:
        made.add_column(name, justify="left" if name in _TEXTS else "right", no_wrap=name != "why")
    for row in rows:
        made.add_row(*(Text(row[name]) for name in shown))
    before = "; champion's: accuracy of the one before, at the same moment" if "champion's" in shown else ""
    asked = "; AUC: of held-out labels; before: of the champion on the new labels" if _BEFORE in shown else ""
    made.caption = f"* champion{before}{asked}"
    return made


def _row(version: dict[str, Any], roomy: bool) -> dict[str, str]:
    gate, metrics = version["gate"] or {}, version["metrics"] or {}
    accuracy, *others = ((name, _figure(metrics.get(field))) for name, field in _FIGURES.items())
    return {
        "version": f"{version['version']}{' *' if version['champion'] else ''}",
        "kind": version["kind"],
        "base": str(version["base_version"] or "-"),
        "why": version["reason"],
        "users": str(version["changed_users"]),
        "labels": str(version["changed_labels"]),
        "pairs": str(version["pairs"]),
        **dict([accuracy]),
        "champion's": _figure((gate.get("champion") or {}).get("accuracy")),
        **dict(others),
        **{name: _figure(metrics.get(field)) for name, field in _OUTCOMES.items()},
        _BEFORE: _figure((version["probe"] or {}).get("auc")),
        "registered": version["registered_at"][: 16 if roomy else 10].replace("T", " "),
    }


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
