"""A cycle on record becomes spans, whatever its outcome and whichever release has run it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import schemas
from consumer.tracing.spans import Span, spans_of
from schemas.cycle import CycleResult
from schemas.watching.traces import span_id_of, trace_id_of, traceparent_of

GOLDEN: dict[str, Any] = json.loads((Path(schemas.__file__).parent / "golden" / "cycle_result.json").read_text())
CLAIMED = "2026-03-04T11:59:47.500000+00:00"
ENDED = "2026-03-04T12:00:03.200000+00:00"


def cycle(**more: Any) -> dict[str, Any]:
    """As the ledger gives it: registered at the second attempt, promoted."""
    promotion = {"at": ENDED, "action": "cycle", "by": None, "reason": "better", "previous": 1}
    return {
        "number": 2,
        "cycle_id": GOLDEN["cycle_id"],
        "kind": "incremental",
        "reason": "enough users changed",
        "state": "registered",
        "base_version": 1,
        "accept": [],
        "settled": True,
        "lineage": {
            "offsets": {"changes": {"0": [200, 230], "1": [10, 20]}},
            "changed_users": 40,
            "unchanged_users": 0,
            "first_event_at": "2026-03-04T11:58:47.500000+00:00",
        },
        "claimed_at": CLAIMED,
        "ended_at": ENDED,
        "result": CycleResult.model_validate(GOLDEN).model_dump(mode="json"),
        "attempts": 1,
        "last_error": "the trainer ended with code -9 and no result",
        "version": {"version": 2, "not_promoted": None, "promotions": [promotion]},
        **more,
    }


def result(**more: Any) -> dict[str, Any]:
    return {**GOLDEN, **more}


def by_key(cycle: dict[str, Any]) -> dict[str, Span]:
    spans = spans_of(cycle)
    found = {span.key: span for span in spans}
    assert len(found) == len(spans), "an id is of one span"
    assert all(span.parent is None or span.parent in found for span in spans)
    assert all(span.start <= span.end for span in spans)
    return found


def test_a_cycle_is_told_with_true_times_and_what_each_part_has_found() -> None:
    spans = by_key(cycle())
    root = spans["cycle"]
    assert (root.start.isoformat(), root.end.isoformat()) == (CLAIMED, ENDED)
    assert root.name == "cycle incremental"
    assert root.error is None
    assert root.attributes["retrainer.cycle.id"] == GOLDEN["cycle_id"]
    assert root.attributes["retrainer.cycle.outcome"] == "registered"
    assert root.attributes["retrainer.cycle.trigger"] == "enough users changed"
    assert root.attributes["retrainer.cycle.reason"] == GOLDEN["reason"]
    assert (root.attributes["retrainer.version"], root.attributes["retrainer.base_version"]) == (2, 1)
    assert root.attributes["retrainer.cycle.changed_users"] == 40

    waiting = spans["waiting"]
    assert (waiting.end - waiting.start, waiting.end) == (timedelta(seconds=60), root.start)
    assert waiting.attributes["messaging.batch.message_count"] == 40
    assert waiting.attributes["messaging.destination.name"] == "changes"

    first, second = spans["attempt 1"], spans["attempt 2"]
    assert (first.error, second.error) == ("the trainer ended with code -9 and no result", None)
    assert first.end - first.start == timedelta(seconds=2.25)
    steps = {key.removeprefix("step "): span for key, span in spans.items() if key.startswith("step ")}
    assert steps.keys() == GOLDEN["step_starts"].keys()
    assert {span.parent for span in steps.values()} == {"attempt 2"}
    for name, span in steps.items():
        assert span.end - span.start == timedelta(seconds=GOLDEN["seconds"][name])
    assert steps["read"].attributes["retrainer.read.accepted"] == GOLDEN["read"]["accepted"]
    assert steps["pair"].attributes["retrainer.pair.after"] == GOLDEN["pairs"]["after"]
    assert steps["fit"].attributes["retrainer.fit.epochs"] == GOLDEN["fit"]["epochs"]
    (decision,) = steps["gate"].events
    assert decision.name == "gate decision"
    assert decision.attributes["retrainer.gate.outcome"] == GOLDEN["gate"]["outcome"]
    settle = spans["settle"]
    assert (settle.start, settle.end) == (second.end, root.end)
    assert [event.name for event in settle.events] == ["registered", "promoted"]
    assert settle.attributes["retrainer.version.promoted"] is True


def test_no_span_names_a_user() -> None:
    told = result(read={**GOLDEN["read"], "refused": {"mallory@example.com": "a number that is not finite"}})
    assert "mallory" not in str(spans_of(cycle(result=told)))


def test_a_version_that_a_person_promotes_later_was_not_promoted_by_its_cycle() -> None:
    later = {"at": "2026-03-05T12:00:00+00:00", "action": "promote", "by": "ann", "reason": "so", "previous": 1}
    barred = {"version": 2, "not_promoted": "pinned by ann", "promotions": [later]}
    settle = by_key(cycle(version=barred, settled=False))["settle"]
    assert [event.name for event in settle.events] == ["registered"]
    assert settle.attributes["retrainer.version.promoted"] is False
    assert settle.attributes["retrainer.version.not_promoted"] == "pinned by ann"


@pytest.mark.parametrize(("state", "is_an_error"), [("failed", True), ("held", True), ("rejected", False)])
def test_what_somebody_has_to_look_into_is_an_error(state: str, is_an_error: bool) -> None:
    told = result(outcome=state, version=None, reason="because")
    root = by_key(cycle(state=state, result=told, version=None, settled=False))["cycle"]
    assert root.error == ("because" if is_an_error else None)
    assert root.attributes.get("error.type") == (state if is_an_error else None)


def test_an_attempt_whose_end_nobody_saw_ends_where_the_next_begins() -> None:
    first, second = GOLDEN["attempts"]
    told = result(attempts=[{**first, "ended": None, "error": None}, {**second, "ended": None}])
    spans = by_key(cycle(result=told))
    assert spans["attempt 1"].end == spans["attempt 2"].start
    assert spans["attempt 1"].error == "cut short: the service was stopped, or died"
    assert spans["attempt 2"].error is None  # it left a result, whoever settled it
    assert spans["attempt 2"].end == spans["step register"].end


def test_an_earlier_release_names_no_moments_and_a_cycle_may_leave_no_result() -> None:
    old = {name: value for name, value in GOLDEN.items() if name not in {"step_starts", "attempts"}}
    assert by_key(cycle(result=old)).keys() == {"cycle", "waiting"}
    assert by_key(cycle(result=None, state="failed", version=None)).keys() == {"cycle", "waiting"}


def test_a_clock_that_was_set_back_makes_no_span_end_before_it_begins() -> None:
    spans = by_key(cycle(ended_at="2026-03-04T11:00:00+00:00"))
    assert spans["cycle"].start == spans["cycle"].end == datetime(2026, 3, 4, 11, 59, 47, 500_000, UTC)
    future = {**cycle()["lineage"], "first_event_at": "2026-03-04T12:59:00+00:00"}
    assert "waiting" not in by_key(cycle(lineage=future))


def test_ids_follow_from_the_cycle_and_are_those_of_w3c() -> None:
    trace, span = trace_id_of("c000002-3a77f182"), span_id_of("c000002-3a77f182", "cycle")
    assert (len(trace), len(span)) == (32, 16)
    assert trace != trace_id_of("c000002-3a77f183")
    assert span != span_id_of("c000002-3a77f182", "waiting")
    assert traceparent_of("c000002-3a77f182") == f"00-{trace}-{span}-01"
    assert trace == "83537bc5fe312582b26e601978b4cab0"  # another release has to find the same trace
