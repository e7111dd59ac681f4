"""Who needs a version, as each ledger knows it, and how versions are marked, deleted and noted as gone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, update

from consumer.database import tables
from consumer.database.tables import interventions, outbox, promotions
from consumer.ledger.ledger import Ledger
from consumer.ledger.retention.needed import CHAMPIONS_KEPT
from schemas.cycle import CycleKind, CycleResult, GateReport, Metrics, Outcome
from schemas.promotions import InterventionAction
from tests.contract.ledgers import P0, batch, begin
from tests.contract.test_ledger_outcomes import run


def versions(ledger: Ledger, fence: int, accuracies: list[float]) -> None:
    """Versions 1, 2, ... with these accuracies; the first was trained from scratch, each became champion."""
    begin(ledger)
    for number, accuracy in enumerate(accuracies, 1):
        ledger.intake.record(batch(P0, number - 1, [f"u{number}"], now=100.0 + number))
        metrics = Metrics(accuracy=accuracy, auc=None, recall_at_10=0.5, calibration_error=0.1)
        gate = GateReport(outcome="passed", reason="better", users=5, pairs=9, challenger=metrics)
        result: dict[str, Any] = {"outcome": Outcome.REGISTERED, "version": number, "gate": gate}
        run(ledger, fence, CycleKind.INCREMENTAL if number > 1 else CycleKind.BOOTSTRAP, result, 500.0 + number)


def order(ledger: Ledger, action: InterventionAction, version: int | None = None) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(
            insert(interventions).values(action=action.value, at=1.0, by="ada", reason="so", version=version)
        )


def test_the_newest_the_champions_the_baseline_and_the_best_stay(ledger: Ledger, fence: int) -> None:
    versions(ledger, fence, [0.5, 0.6, 0.9, 0.8, *([0.7] * 8)])
    plan = ledger.pruning.plan(2)
    assert plan.stays == {
        1: ("the baseline",),
        3: ("has one of the best figures since the baseline",),
        4: ("has one of the best figures since the baseline",),
        9: ("an earlier champion, to roll back to",),
        10: ("an earlier champion, to roll back to",),
        11: (
            "an earlier champion, to roll back to",
            "has one of the best figures since the baseline",
            "one of the newest 2",
        ),
        12: ("the champion", "has one of the best figures since the baseline", "one of the newest 2"),
    }
    assert plan.goes == (2, 5, 6, 7, 8)
    assert CHAMPIONS_KEPT == 3
    assert ledger.pruning.plan(None).goes == ()


def test_after_a_rollback_champions_stay_that_another_can_go_to(ledger: Ledger, fence: int) -> None:
    """Back from 9 to 5, and the four between are withdrawn."""
    versions(ledger, fence, [0.7] * 9)
    with ledger.engine.begin() as connection:
        gone = update(tables.versions).where(tables.versions.c.version > 5)
        connection.execute(gone.values(withdrawn=True))
        connection.execute(insert(promotions).values(version=5, at=1.0, reason="9 is bad", action="rollback"))
    stays = ledger.pruning.plan(1).stays
    assert stays[5][0] == "the champion"
    assert {version for version, why in stays.items() if "an earlier champion, to roll back to" in why} == {2, 3, 4}


def test_a_pinned_version_stays_until_it_is_unpinned(ledger: Ledger, fence: int) -> None:
    versions(ledger, fence, [0.7] * 9)
    assert 3 in ledger.pruning.plan(1).goes
    order(ledger, InterventionAction.PIN, 3)
    order(ledger, InterventionAction.PAUSE)
    assert ledger.pruning.plan(1).stays[3] == ("pinned",)
    order(ledger, InterventionAction.UNPIN)
    assert 3 in ledger.pruning.plan(1).goes


def test_what_a_running_cycle_is_measured_against_stays(ledger: Ledger, fence: int) -> None:
    versions(ledger, fence, [0.7] * 3)
    claim = ledger.cycles.claim(CycleKind.FULL, "asked for", 700.0, fence=fence)
    stays = ledger.pruning.plan(1).stays
    assert {claim.base_version, claim.baseline_version, *claim.best_since} <= stays.keys()
    assert f"cycle {claim.cycle_id} is measured against it" in stays[3]


def test_what_a_model_event_names_stays_as_long_as_its_channel_waits(ledger: Ledger, fence: int) -> None:
    versions(ledger, fence, [0.7] * 9)
    event = {"type": "retrainer.model.promoted", "facts": {"version": 2, "champion": 3}}
    with ledger.engine.begin() as connection:
        connection.execute(update(outbox).values(sent_to_topic=True, sent_to_webhook=True))
        connection.execute(insert(outbox).values(event_id="e1", event=event, at=1.0, sent_to_topic=True))
    assert {2, 3} <= ledger.pruning.plan(1, ["topic", "webhook"]).stays.keys()
    assert {2, 3} <= set(ledger.pruning.plan(1, ["topic"]).goes)
    assert {2, 3} <= set(ledger.pruning.plan(1).goes), "nobody waits for events that go nowhere"


def test_what_others_name_stays(ledger: Ledger, fence: int) -> None:
    versions(ledger, fence, [0.7] * 9)
    assert ledger.pruning.plan(1, further={2: "vectors of it are published"}).stays[2] == (
        "vectors of it are published",
    )


def test_versions_are_marked_the_oldest_first_and_offered_until_they_are_gone(ledger: Ledger, fence: int) -> None:
    versions(ledger, fence, [0.7] * 12)
    goes = ledger.pruning.plan(1).goes
    first = ledger.pruning.mark(1, 900.0, most=2)
    assert tuple(first.versions) == goes[:2]
    assert first.fence == fence
    assert ledger.pruning.plan(1).goes == goes[2:]
    assert ledger.pruning.mark(1, 901.0, most=2).versions == first.versions, "none before those are gone"
    ledger.pruning.gone({goes[0]: 10})
    assert tuple(ledger.pruning.mark(1, 902.0, most=2).versions) == goes[1:3]
    marked = ledger.pruning.mark(1, 903.0)
    assert tuple(marked.versions) == goes[1:]
    ledger.pruning.gone(dict.fromkeys(marked.versions, 10))
    assert ledger.pruning.mark(1, 904.0).versions == {}
    deleted = [version["version"] for version in ledger.views.versions() if version["deleted_at"]]
    assert tuple(deleted) == goes


def test_a_version_that_stays_is_not_noted_as_gone(ledger: Ledger, fence: int) -> None:
    versions(ledger, fence, [0.7] * 3)
    ledger.pruning.gone({3: 10})
    assert [version["deleted_at"] for version in ledger.views.versions()] == [None] * 3


def test_a_deleted_version_is_not_nominated(ledger: Ledger, fence: int) -> None:
    """When a better one is withdrawn by a rollback, one that was never among the best may follow it."""
    versions(ledger, fence, [0.7] * 12)
    gone = set(ledger.pruning.mark(1, 900.0).versions)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "asked for", 950.0, fence=fence)
    assert not gone & {claim.base_version, claim.baseline_version, *claim.best_since}
    result = CycleResult(cycle_id=claim.cycle_id, outcome=Outcome.UNCHANGED, reason="none", base_version=12)
    ledger.cycles.settle(result, 951.0, fence=fence)
