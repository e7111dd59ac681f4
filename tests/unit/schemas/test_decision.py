"""The decision on a cycle in one sentence, for each way in which a cycle ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.cycle import Comparison, CycleResult, FitReport, GateReport, Outcome
from schemas.decision import decision

GOLDEN = json.loads((Path(schemas.__file__).parent / "golden" / "cycle_result.json").read_text())


def result(outcome: str, **changed: Any) -> CycleResult:
    version = 2 if outcome == "registered" else None
    return CycleResult.model_validate({**GOLDEN, "outcome": outcome, "version": version, **changed})


def comparison(figure: str, difference: float, *, slice_: str | None = None, against: str = "champion") -> Comparison:
    return Comparison.model_validate(
        {
            "figure": figure,
            "against": against,
            "slice": slice_,
            "users": 50,
            "challenger": 0.9,
            "other": 0.9 - difference,
            "difference": difference,
            "lower": difference - 0.01,
            "certain": difference + 0.01,
            "margin": 0.02,
            "verdict": "fine",
        }
    )


def gate(*comparisons: Comparison, champion: bool = True) -> GateReport:
    told = GateReport.model_validate(GOLDEN["gate"])
    return told.model_copy(
        update={
            "outcome": "passed",
            "reason": "first version: accuracy 0.99, above its floor",
            "comparisons": comparisons,
            "champion": told.challenger if champion else None,
        }
    )


def fit(*, learned: bool) -> FitReport:
    return FitReport.model_validate({**GOLDEN["fit"], "learned": learned})


MOVED = gate(
    comparison("recall_at_10", 0.012),
    comparison("accuracy", 0.001),
    comparison("precision", -0.0013),
    comparison("recall", -0.5, slice_="new"),
    comparison("recall", -0.4, against="version 1"),
)


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (
            result("registered", gate=MOVED),
            "Registered as version 2: it does not regress against version 1; recall@10 rose by 0.0120; "
            "precision fell by 0.0013, less than the margin of 0.02.",
        ),
        (
            result("registered", gate=gate(comparison("calibration_error", 0.003))),
            "Registered as version 2: it does not regress against version 1; calibration error fell by 0.0030.",
        ),
        (
            result("registered", gate=gate(comparison("accuracy", 0.0))),
            "Registered as version 2: it does not regress against version 1; no figure has moved.",
        ),
        (
            result("registered", gate=gate(champion=False), base_version=None),
            "Registered as version 2, without a champion to compare with: first version: accuracy 0.99, above its "
            "floor.",
        ),
        (
            result("registered", gate=MOVED, fit=fit(learned=False)),
            "Registered as version 2: training found nothing better, so it has the weights of version 1.",
        ),
        (
            result("inconclusive", gate=gate(comparison("accuracy", 0.0))),
            "Registered: it does not regress against version 1; no figure has moved.",
        ),
        (
            result("inconclusive", reason="too few users", gate=None),
            "Not registered, because the exam cannot tell: too few users.",
        ),
        (result("rejected", reason="accuracy is worse"), "Refused: accuracy is worse."),
        (
            result("unchanged", reason="training changed nothing"),
            "Nothing to learn, so version 1 stays: training changed nothing.",
        ),
        (
            result("held", reason="half was deleted", way_out="look at it"),
            "Held, and nothing was learned: half was deleted. What to do: look at it.",
        ),
        (result("failed", reason="the disk is full."), "Failed: the disk is full."),
        (result("probed", reason="nothing is lost"), "Probed, and nothing was changed: nothing is lost."),
    ],
)
def test_the_decision_is_one_sentence_in_plain_words(ended: CycleResult, told: str) -> None:
    assert decision(ended) == told


def test_every_outcome_has_a_sentence() -> None:
    told = {outcome: decision(result(outcome.value)) for outcome in Outcome}
    assert len(set(told.values())) == len(Outcome)
