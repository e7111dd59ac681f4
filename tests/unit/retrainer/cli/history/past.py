"""A ledger with a short past, whose cycles have results as real ones have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import schemas
from consumer.ledger.ledger import Ledger
from schemas.cycle import CycleKind, CycleResult, Outcome
from tests.contract.ledgers import P0, batch, begin, take

GOLDEN = Path(schemas.__file__).parent / "golden"


REFUSED = {"name": "refused_share", "figure": 0.03, "limit": 0.1, "of": 50, "detail": "taste", "exceeded": False}

WORSE = {
    "figure": "recall_at_10",
    "against": "version 1",
    "slice": "new",
    "users": 40,
    "challenger": 0.71,
    "other": 0.76,
    "difference": -0.05,
    "lower": -0.09,
    "certain": -0.01,
    "margin": 0.1,
    "verdict": "worse",
}


def golden_result() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / "cycle_result.json").read_text())
    return found


def short_past(ledger: Ledger, reason: str = "enough users changed") -> list[str]:
    """A version, a held cycle, a second version; and a cycle that runs. Gives their ids."""
    begin(ledger)
    fence, ids, offset = take(ledger), [], 0
    for number, (kind, outcome) in enumerate(
        [
            (CycleKind.BOOTSTRAP, Outcome.REGISTERED),
            (CycleKind.INCREMENTAL, Outcome.HELD),
            (CycleKind.INCREMENTAL, Outcome.REGISTERED),
        ]
    ):
        ledger.intake.record(batch(P0, offset, ["a", "b", "c"], now=1000.0 * number + 100))
        offset += 3
        claim = ledger.cycles.claim(kind, reason, 1000.0 * number + 160, fence=fence)
        ids.append(claim.cycle_id)
        version = {0: 1, 1: None, 2: 2}[number]
        told = golden_result() | {"cycle_id": claim.cycle_id, "outcome": outcome.value, "version": version}
        told |= {"base_version": claim.base_version, "reason": f"{reason}, and more", "known_users": 400 + number}
        told["guard"] = {"findings": [REFUSED], "asks_full": None}
        told["gate"]["comparisons"] = [WORSE]
        if outcome is Outcome.HELD:
            told |= {"gate": None, "fit": None, "pairs": None, "compatibility": None, "way_out": "mend the rows"}
        if number == 2:
            told["settings"] = {**told["settings"], "gate": {"draws": 300}}
        result = CycleResult.model_validate(told)
        ledger.cycles.settle(result, 1000.0 * number + 200, fence=fence)
    ledger.intake.record(batch(P0, offset, ["a"], now=9000.0))
    ids.append(ledger.cycles.claim(CycleKind.INCREMENTAL, reason, 9001.0, fence=fence).cycle_id)
    return ids
