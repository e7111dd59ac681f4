"""Versions as the ledger tells of them."""

from __future__ import annotations

from typing import Any


def a_version(number: int, *, champion: bool = False, labels: bool = False) -> dict[str, Any]:
    """One, whose figures are those of a real one."""
    outcomes = {"outcome_auc": 0.6543, "recall_at_50": 0.3456} if labels else {}
    return {
        "version": number,
        "cycle_id": f"c{number:06}-0123abcd",
        "kind": "incremental",
        "base_version": number - 1 or None,
        "champion": champion,
        "registered_at": "2026-11-24T08:00:00+00:00",
        "deleted_at": None,
        "withdrawn": False,
        "not_promoted": None,
        "reason": "500 users changed, [as] the trigger's limit says",
        "changed_users": 123_456,
        "unchanged_users": 0,
        "changed_labels": 1234 if labels else 0,
        "unchanged_labels": 0,
        "pairs": 1_234_567,
        "metrics": {
            "accuracy": 0.9876,
            "precision": 0.9765,
            "recall": 0.9654,
            "average_precision": 0.9543,
            "recall_at_10": 0.4321,
            **outcomes,
        },
        "probe": {"auc": 0.6012} if labels else None,
        "gate": {"champion": {"accuracy": 0.9811}},
    }
