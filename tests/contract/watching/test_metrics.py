"""The page of metrics, on a ledger of each engine."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from consumer.ledger.ledger import Ledger
from consumer.ledger.watching import ended
from consumer.metrics import collector
from consumer.metrics.collector import Metrics
from consumer.metrics.registry import PROCESS_SERIES, by_series
from consumer.settings import Settings
from consumer.status import Status
from schemas.cycle import (
    CycleKind,
    CycleResult,
    GateReport,
    Outcome,
    ReadReport,
    RefusedKind,
    Step,
)
from schemas.cycle import Metrics as Figures
from schemas.guard import Finding, GuardName, GuardReport
from schemas.stores.calls import Call, CalledAt, CallOutcome, CallReport
from tests.contract.ledgers import P0, batch, begin, passed_over
from tests.contract.test_ledger_growth import statements
from tests.pages_of_metrics import page_of, read_page
from tests.waiting import wait_until

NOW = time.time()
STATUS = Status(
    pid=1,
    state="listening",
    written_at=NOW,
    polled_at=NOW,
    lag=0,
    hold=None,
    cycle=None,
    runs_cycles=True,
    partitions=2,
)
Made = Callable[..., Metrics]


@pytest.fixture(autouse=True)
def _read_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "_YOUNG", 0.001)
    monkeypatch.setattr(collector, "_PATIENCE", 60.0)  # the machine may be busy


@pytest.fixture
def made(ledger: Ledger, tmp_path: Path) -> Made:
    def make(status: Status | None = STATUS, clock: Callable[[], float] = time.time) -> Metrics:
        return Metrics(
            Settings(state_dir=tmp_path, ledger={"url": str(ledger.engine.url)}), ledger, lambda: status, clock
        )

    return make


def figures(auc: float) -> Figures:
    return Figures(accuracy=0.9, auc=auc, recall=None, recall_at_10=0.5, calibration_error=0.1)


def gate(challenger: float, champion: float | None) -> GateReport:
    seen = None if champion is None else figures(champion)
    passed: dict[str, Any] = {"outcome": "passed", "reason": "not worse", "users": 5, "pairs": 9}
    return GateReport(**passed, challenger=figures(challenger), champion=seen)


def run(
    ledger: Ledger, fence: int, outcome: Outcome, *, kind: CycleKind = CycleKind.INCREMENTAL, **told: Any
) -> CycleResult:
    claim = ledger.cycles.claim(kind, "the test says so", time.time() - 7, fence=fence)
    base = ledger.views.history().champion
    result = CycleResult(cycle_id=claim.cycle_id, outcome=outcome, reason="so", base_version=base, **told)
    ledger.cycles.settle(result, time.time(), fence=fence)
    return result


def held(name: GuardName) -> GuardReport:
    return GuardReport(findings=(Finding(name=name, figure=0.5, limit=0.1, of=10, exceeded=True),))


@pytest.fixture
def read(ledger: Ledger) -> None:
    """Two users and a label are pending, and a record could not be read."""
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b", ("a", "b")], now=time.time() - 30))
    passed_over(ledger, P0, 3, 4)


def test_everything_on_the_page_is_in_the_registry(ledger: Ledger, fence: int, made: Made, read: None) -> None:
    metrics = made()
    run(ledger, fence, Outcome.REGISTERED, kind=CycleKind.BOOTSTRAP, version=1, gate=gate(0.8, None))
    known, page = by_series(), page_of(metrics)
    assert page.names() - known.keys() <= {*PROCESS_SERIES}
    for name in page.names() & known.keys():
        for labels in page.labels(name):
            assert labels.keys() == {*known[name].label_names} - (set() if "le" in labels else {"le"}), name
            for label in known[name].labels:
                assert not label.values or labels[label.name] in label.values, name
    assert not any(value == "a" for name in page.names() for labels in page.labels(name) for value in labels.values())


def test_what_is_pending_is_told(made: Made, read: None) -> None:
    page = page_of(made())
    assert page.of("retrainer_pending", what="users") == 2
    assert page.of("retrainer_pending", what="labels") == 1
    assert page.of("retrainer_untried", what="users") == 2
    oldest = page.of("retrainer_oldest_pending_seconds")
    assert oldest is not None
    assert 30 <= oldest < 600
    assert page.of("retrainer_events_total") == 3
    assert page.of("retrainer_dead_letters", status="open") == 1
    assert page.of("retrainer_champion_info", version="1") is None
    assert page.of("retrainer_last_version_timestamp_seconds") is None
    assert (page.of("retrainer_ledger_size_bytes") or 0) > 0
    assert page.of("retrainer_training_seconds") == 0
    assert page.of("retrainer_training_budget_seconds") is None
    assert page.names().isdisjoint({"retrainer_notifications_waiting", "retrainer_model_events_waiting"})


def test_channels_that_are_set_and_a_budget_are_told(ledger: Ledger, fence: int, tmp_path: Path, read: None) -> None:
    secret = "whsec_" + b64encode(b"s" * 24).decode()
    told = {"webhook": "https://example.com/", "webhook_secret": secret}
    settings = Settings(
        state_dir=tmp_path, notifications=told, model_events=told, trigger={"training_minutes_a_day": 60}
    )
    metrics = Metrics(settings, ledger, lambda: STATUS)
    run(ledger, fence, Outcome.REGISTERED, kind=CycleKind.BOOTSTRAP, version=1, gate=gate(0.8, None))
    page = page_of(metrics)
    assert page.of("retrainer_notifications_waiting", channel="webhook") == 0
    assert page.of("retrainer_notifications_failing", channel="webhook") == 0
    assert (page.of("retrainer_model_events_waiting", channel="webhook") or 0) > 0
    assert page.labels("retrainer_model_events_waiting") == [{"channel": "webhook"}]
    assert page.of("retrainer_training_budget_seconds") == 3600
    assert 7 <= (page.of("retrainer_training_seconds") or 0) < 600


def test_cycles_are_counted_after_a_restart_too(ledger: Ledger, fence: int, made: Made, read: None) -> None:
    before = made()
    page_of(before)
    run(ledger, fence, Outcome.REGISTERED, kind=CycleKind.BOOTSTRAP, version=1, gate=gate(0.8, None))
    for outcome in (Outcome.FAILED, Outcome.FAILED, Outcome.REJECTED):
        run(ledger, fence, outcome)
    ledger.cycles.claim(CycleKind.FULL, "the test says so", time.time(), fence=fence)
    for metrics in (before, made()):
        page = _later(metrics, lambda page: page.of("retrainer_running_cycles", kind="full") == 1)
        assert page.of("retrainer_cycles_total", kind="bootstrap", outcome="registered") == 1
        assert page.of("retrainer_cycles_total", kind="incremental", outcome="failed") == 2
        assert page.of("retrainer_cycles_total", kind="incremental", outcome="rejected") == 1
        assert page.of("retrainer_cycles_total", kind="full", outcome="failed") == 0
        assert page.of("retrainer_running_cycles", kind="full") == 1
        assert page.of("retrainer_rejected_cycles_in_a_row") == 1


def test_results_are_counted_from_the_start_of_the_instance(ledger: Ledger, fence: int, made: Made, read: None) -> None:
    before = made()
    call = CallReport(where=CalledAt.REGISTRY, call=Call.FIND, outcome=CallOutcome.UNREACHABLE, count=3, seconds=1.5)
    told = ReadReport(accepted=1, deleted=0, refused_total=2, refused_kinds={RefusedKind.LENGTH: 2})
    run(ledger, fence, Outcome.FAILED, seconds={Step.READ: 0.3, Step.FIT: 40.0}, calls=(call,), read=told)
    page = page_of(before)
    assert page.of("retrainer_step_duration_seconds_bucket", step="fit", le="30.0") == 0
    assert page.of("retrainer_step_duration_seconds_bucket", step="fit", le="60.0") == 1
    assert page.of("retrainer_step_duration_seconds_count", step="read") == 1
    assert page.of("retrainer_step_duration_seconds_count", step="gate") == 0
    assert 7 <= (page.of("retrainer_cycle_duration_seconds_sum", kind="incremental") or 0) < 60
    labels = {"where": "registry", "call": "find", "outcome": "unreachable"}
    assert page.of("retrainer_call_duration_seconds_count", **labels) == 3
    assert page.of("retrainer_call_duration_seconds_sum", **labels) == 1.5
    assert page.of("retrainer_refused_rows_total", what="users", reason="length") == 2
    later = page_of(made(clock=lambda: time.time() + 1))
    assert later.of("retrainer_step_duration_seconds_count", step="fit") == 0
    assert later.of("retrainer_cycles_total", kind="incremental", outcome="failed") == 1


def test_more_cycles_than_are_read_at_once_are_all_counted(
    ledger: Ledger, fence: int, made: Made, read: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "_AT_ONCE", 2)
    before = made()
    page_of(before)
    for _ in range(5):
        run(ledger, fence, Outcome.REJECTED, seconds={Step.FIT: 1.0})
    for metrics in (before, made(clock=lambda: NOW - 60)):
        page = _later(metrics, lambda page: page.of("retrainer_step_duration_seconds_count", step="fit") == 5)
        assert page.of("retrainer_cycles_total", kind="incremental", outcome="rejected") == 5


def test_why_a_cycle_is_held_is_told_until_one_is_not(ledger: Ledger, fence: int, made: Made, read: None) -> None:
    metrics = made()
    run(ledger, fence, Outcome.HELD, guard=held(GuardName.REFUSED_SHARE), way_out="look")
    page = page_of(metrics)
    assert page.of("retrainer_held", limit="refused_share") == 1
    assert page.of("retrainer_held", limit="champion") == 0
    run(ledger, fence, Outcome.HELD, way_out="look")
    page = _later(metrics, lambda page: page.of("retrainer_held", limit="champion") == 1)
    assert page.of("retrainer_held", limit="refused_share") == 0
    assert page.of("retrainer_held_cycles_total", limit="refused_share") == 1
    run(ledger, fence, Outcome.REJECTED)
    page = _later(metrics, lambda page: page.of("retrainer_held", limit="champion") == 0)
    assert page.of("retrainer_held_cycles_total", limit="champion") == 1


def test_figures_are_those_of_the_last_exam(ledger: Ledger, fence: int, made: Made, read: None) -> None:
    metrics = made()
    run(ledger, fence, Outcome.REGISTERED, kind=CycleKind.BOOTSTRAP, version=1, gate=gate(0.8, None))
    page = page_of(metrics)
    assert page.of("retrainer_champion_info", version="1") == 1
    assert page.of("retrainer_figure", model="champion", figure="auc") == 0.8
    assert page.of("retrainer_figure", model="champion", figure="recall") is None
    run(ledger, fence, Outcome.REJECTED, gate=gate(0.6, 0.79))
    for one in (metrics, made()):
        page = _later(one, lambda page: page.of("retrainer_figure", model="challenger", figure="auc") == 0.6)
        assert page.of("retrainer_figure", model="challenger", figure="auc") == 0.6
        assert page.of("retrainer_figure", model="champion", figure="auc") == 0.79
    run(ledger, fence, Outcome.REGISTERED, version=2, gate=gate(0.85, 0.78))
    page = _later(metrics, lambda page: page.of("retrainer_champion_info", version="2") == 1)
    assert page.of("retrainer_champion_info", version="1") is None
    assert page.of("retrainer_figure", model="champion", figure="auc") == 0.85
    ledger.promotions.rollback(None, instead_of=2, by="me", reason="so", now=time.time(), hold_down=0.0)
    page = _later(metrics, lambda page: page.of("retrainer_champion_info", version="1") == 1)
    assert page.of("retrainer_figure", model="champion", figure="auc") == 0.8
    assert page.of("retrainer_figure", model="challenger", figure="auc") == 0.85


def test_a_later_page_reads_no_cycle_again(ledger: Ledger, fence: int, made: Made, read: None) -> None:
    """So a scrape costs the same after a year."""
    metrics = made()
    run(ledger, fence, Outcome.REGISTERED, kind=CycleKind.BOOTSTRAP, version=1, gate=gate(0.8, None))
    run(ledger, fence, Outcome.REJECTED, gate=gate(0.6, 0.79))
    first = page_of(metrics)
    with statements(ledger.engine) as asked:
        _later(
            metrics, lambda page: page.of("retrainer_ledger_read_seconds") != first.of("retrainer_ledger_read_seconds")
        )
    questions = [statement for statement, _ in asked if statement.lstrip().startswith("SELECT")]
    assert questions
    assert [one for one in questions if "cycles.result" in one and "cycles.number > " not in one] == []


def test_without_an_answer_of_the_ledger_the_process_still_tells(ledger: Ledger, made: Made, read: None) -> None:
    metrics = made(replace(STATUS, lag=3, stored_event_at=time.time() - 40))
    with ledger.engine.begin() as connection:
        connection.execute(text("ALTER TABLE offsets RENAME TO away"))
    page = page_of(metrics)
    assert page.of("retrainer_ledger_up") == 0
    assert page.of("retrainer_lag_events") == 3
    assert 40 <= (page.of("retrainer_event_time_lag_seconds") or 0) < 600
    assert page.of("retrainer_listener_reads") == 1
    assert page.of("retrainer_pending", what="users") is None
    with ledger.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO offsets"))
    page = page_of(metrics)
    assert page.of("retrainer_ledger_up") == 1
    assert page.of("retrainer_pending", what="users") == 2


def test_a_service_that_has_not_told_yet_how_it_is_has_a_page(made: Made) -> None:
    page = page_of(made(None))
    assert page.of("retrainer_ledger_up") == 1
    assert page.of("retrainer_lag_events") is None


def test_the_page_is_open_metrics_where_that_is_asked_for(made: Made) -> None:
    body, kind = made().page("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert read_page(body.decode(), openly=True).of("retrainer_ledger_up") == 1
    _, kind = made().page("text/html")
    assert kind.startswith("text/plain")


def _later(metrics: Metrics, holds: Callable[[Any], bool]) -> Any:
    """The page when what is young is read again."""
    return wait_until(lambda: page if holds(page := page_of(metrics)) else None, 5, "a new reading of the ledger")
