"""The teller and the sender: each cycle once, in order, whole; trouble told once, and given up in bounds."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from consumer.configuration import tracing
from consumer.configuration.tracing import TracingSettings
from consumer.ledger.ledger import Ledger
from consumer.ledger.outbox import Waiting
from consumer.model_events.envelope import Envelope
from consumer.sending.ports import NotSent
from consumer.settings import Settings
from consumer.tracing.follower import KEPT_FOR, TraceTeller
from consumer.tracing.sending import TraceSender
from consumer.tracing.spans import Span, spans_of
from consumer.tracing.told import Told
from schemas.cycle import CycleKind, Outcome
from schemas.log_events.tracing import TRACES_GIVEN_UP, TRACES_NOT_SENT, TRACES_SENT_AGAIN
from schemas.model_events import ModelEventFacts, ModelEventType
from schemas.watching.traces import span_id_of, trace_id_of, traceparent_of
from tests.contract.ledgers import ended, take
from tests.unit.consumer.tracing.collector import collecting
from tests.unit.consumer.tracing.test_spans import cycle
from tests.waiting import wait_until


class Wire:
    """A collector that takes traces while it is `there`."""

    def __init__(self) -> None:
        self.there = True
        self.got: list[str] = []

    def send(self, cycle_id: str, spans: list[Span]) -> None:
        if not self.there:
            raise NotSent("connection refused")
        assert spans
        self.got.append(cycle_id[:7])

    def close(self) -> None:
        pass


class Clock:
    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


def run_cycle(ledger: Ledger, fence: int, at: float) -> None:
    claim = ledger.cycles.claim(CycleKind.FULL, "operator", at - 5, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), at, fence=fence)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def told(tmp_path: Path, ledger: Ledger) -> Told:
    return Told(tmp_path, ledger.ledger_id)


@pytest.fixture
def teller(ledger: Ledger, told: Told, wire: Wire, clock: Clock) -> TraceTeller:
    return TraceTeller(ledger, told, lambda: wire, clock, clock)


def test_each_cycle_is_told_once_in_order_and_one_that_runs_is_not(
    ledger: Ledger, told: Told, teller: TraceTeller, wire: Wire, clock: Clock
) -> None:
    fence = take(ledger)
    for number in range(1, 26):  # more than are read at once
        run_cycle(ledger, fence, clock.now - 100 + number)
    ledger.cycles.claim(CycleKind.FULL, "operator", clock.now, fence=fence)
    teller.turn()
    teller.turn()
    teller.turn()
    assert wire.got == [f"c{number:06d}" for number in range(1, 26)]
    again = Wire()
    TraceTeller(ledger, told, lambda: again, clock, clock).turn()
    assert again.got == []
    assert Told(told._file.parent, "another ledger").last() == 0


def test_what_ended_long_ago_is_not_told(ledger: Ledger, teller: TraceTeller, wire: Wire, clock: Clock) -> None:
    fence = take(ledger)
    run_cycle(ledger, fence, clock.now - KEPT_FOR - 1)
    run_cycle(ledger, fence, clock.now - KEPT_FOR + 1)
    with capture_logs() as logs:
        teller.turn()
    assert wire.got == ["c000002"]
    assert logs == []  # before traces were on, nothing was promised


def test_a_collector_that_is_away_is_told_of_once_and_given_up_after_an_hour(
    ledger: Ledger, teller: TraceTeller, wire: Wire, clock: Clock
) -> None:
    fence = take(ledger)
    run_cycle(ledger, fence, clock.now)
    teller.turn()
    wire.there = False
    run_cycle(ledger, fence, clock.now + 1)
    run_cycle(ledger, fence, clock.now + 2)
    with capture_logs() as logs:
        waits = [teller.turn() for _ in range(8)]
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    assert [(line["event"], line["reason"]) for line in logs] == [(TRACES_NOT_SENT, "connection refused")]

    clock.now += KEPT_FOR + 10
    run_cycle(ledger, fence, clock.now)
    wire.there = True
    with capture_logs() as logs:
        teller.turn()
    assert wire.got == ["c000001", "c000004"]
    assert [line["event"] for line in logs] == [TRACES_GIVEN_UP, TRACES_SENT_AGAIN]
    assert (logs[0]["cycles"], logs[0]["reason"]) == (2, "connection refused")


def test_a_collector_that_comes_back_gets_all_of_the_hour(
    ledger: Ledger, teller: TraceTeller, wire: Wire, clock: Clock
) -> None:
    fence, wire.there = take(ledger), False
    run_cycle(ledger, fence, clock.now)
    teller.turn()
    run_cycle(ledger, fence, clock.now + 1)
    wire.there = True
    teller.turn()
    assert wire.got == ["c000001", "c000002"]


def test_what_cannot_be_made_is_trouble_like_any_other(ledger: Ledger, told: Told, clock: Clock) -> None:
    def broken() -> Wire:
        raise ValueError("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is no number")

    with capture_logs() as logs:
        assert TraceTeller(ledger, told, broken, clock, clock).turn() == 10
    assert [line["event"] for line in logs] == [TRACES_NOT_SENT]


def test_the_thread_stops_while_a_collector_does_not_answer(ledger: Ledger, told: Told, clock: Clock) -> None:
    import socket

    run_cycle(ledger, take(ledger), clock.now)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        settings = TracingSettings(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        teller = TraceTeller(ledger, told, lambda: TraceSender(settings), clock, clock)
        teller.start()
        silent.settimeout(30)
        connection, _ = silent.accept()
        teller.stop()
        connection.close()
    wait_until(lambda: not any(thread.name == "traces" for thread in threading.enumerate()), 30, "its end")
    assert told.last() == 0


def test_spans_arrive_as_opentelemetry_has_them() -> None:
    recorded = cycle()
    cycle_id = recorded["cycle_id"]
    with collecting() as collector:
        settings = TracingSettings(endpoint=f"{collector.url}/", headers=SecretStr("x-key=k 1, tenant=a"))
        with closing(TraceSender(settings)) as sender:
            sender.send(cycle_id, spans_of(recorded))
    (spans,) = collector.traces()
    assert collector.paths == ["/v1/traces"]
    assert (collector.headers[0]["x-key"], collector.headers[0]["tenant"]) == ("k 1", "a")
    assert collector.resource()["service.name"] == "retrainer"
    root = spans["cycle incremental"]
    assert {span["trace_id"] for span in (root, spans["fit"], *spans["attempt"])} == {trace_id_of(cycle_id)}
    assert (root["span_id"], root["parent"]) == (span_id_of(cycle_id, "cycle"), "")
    first, second = spans["attempt"]
    assert first["parent"] == second["parent"] == spans["waiting"]["parent"] == root["span_id"]
    assert spans["gate"]["parent"] == second["span_id"]
    assert (first["failed"], second["failed"], root["failed"]) == (True, False, False)
    assert first["events"]["exception"]["exception.message"] == first["message"]
    assert root["end"] - root["start"] == 15_700_000_000
    assert spans["gate"]["events"]["gate decision"]["retrainer.gate.outcome"] == "passed"


@pytest.mark.parametrize(("answer", "location"), [(401, None), (302, "http://127.0.0.1:9/v1/traces")])
def test_what_a_collector_refuses_was_not_sent_and_nobody_else_is_asked(answer: int, location: str | None) -> None:
    with collecting() as collector:
        collector.answer, collector.location = answer, location
        with closing(TraceSender(TracingSettings(endpoint=collector.url))) as sender, pytest.raises(NotSent) as refused:
            sender.send("c000001-ab", spans_of(cycle()))
    assert len(collector.paths) == 1
    assert str(refused.value)


def test_the_standard_variables_count_where_no_setting_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=theirs")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "similar-users")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        with closing(TraceSender(TracingSettings(enabled=True))) as sender:
            sender.send("c000001-ab", spans_of(cycle()))
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["x-key"] == "theirs"
    assert collector.resource()["service.name"] == "similar-users"
    assert collector.resource()["deployment.environment.name"] == "test"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoint": "collector:4318"}, "must be an http:// or https:// URL"),
        ({"endpoint": "http://me:pw@collector"}, "RETRAINER_TRACING__HEADERS"),
        ({"endpoint": "http://collector:4318", "headers": "key=s3cret"}, "must be an https:// URL"),
        ({"endpoint": "https://collector", "headers": "s3cret"}, "name=value"),
    ],
)
def test_wrong_settings_say_what_to_do(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TracingSettings(**wrong)
    assert said in str(refused.value)
    assert "s3cret" not in str([one["msg"] for one in refused.value.errors()])


def test_a_missing_extra_is_a_wrong_setting_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda _name: None)
    with pytest.raises(ValidationError, match=r"pip install 'retrainer\[tracing\]'"):
        TracingSettings(endpoint="http://collector:4318")
    assert not TracingSettings().wanted  # where it is off, nothing is missing


@pytest.mark.parametrize(("by", "traced"), [(None, True), ("ann@host", False)])
def test_model_events_of_a_cycle_name_its_span(tmp_path: Path, by: str | None, traced: bool) -> None:
    facts = ModelEventFacts(version=2, champion=2, promotion=1, cycle_id="c000002-ab", reason="r", by=by)
    waiting = Waiting(1, "id", ModelEventType.PROMOTED, facts, 100.0)
    off = Settings(state_dir=tmp_path)
    on = off.model_copy(update={"tracing": TracingSettings(endpoint="http://collector:4318")})
    event = Envelope(on, "l").event(waiting)
    assert event.traceparent == (traceparent_of("c000002-ab") if traced else None)
    assert (b"traceparent" in event.body()) is traced  # CloudEvents knows no attribute that is null
    assert b"traceparent" not in Envelope(off, "l").event(waiting).body()
