"""The freshness promise in a running service: kept, at risk, broken by a real cause, and kept again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumer.clock import Clock
from consumer.cycles.trigger import Hold, Reason
from consumer.freshness.now import freshness_now
from consumer.freshness.verdict import FreshnessState, Verdict
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.state import ListenerState
from consumer.listener.status import ListenerStatus
from consumer.operating.overview import overview
from consumer.service import Service
from consumer.settings import load_settings
from consumer.status import read_status
from retrainer.cli.status_check import problems
from retrainer.cli.status_rows import rows
from schemas.log_events.service import PROMISE_IN_DOUBT
from tests.contract.ledgers import P0, batch
from tests.integration.service import Service as Running
from tests.integration.stand_in import StandIn
from tests.waiting import wait_until

MINUTE = 60.0
NINE = datetime(2026, 6, 1, 21, 0, 1, tzinfo=UTC).timestamp()
"""In the evening; quiet hours begin at ten."""
SIX = datetime(2026, 6, 2, 6, 0, tzinfo=UTC).timestamp()


class Evening:
    """A service whose turns the test makes, with a trainer that ends at once, and a clock that can be put forward."""

    def __init__(self, folder: Path) -> None:
        self.trainer = StandIn(folder)
        self.trainer.will({"outcome": "registered", "version": 1, "known_users": 1000}, *self._more())
        self._begun, self._passed = time.monotonic(), 0.0
        self.settings = load_settings()
        self.ledger: Ledger = open_ledger(self.settings.ledger.url)
        self.ledger.intake.start_at({P0: 0}, 0.0)
        self.clock = Clock(now=lambda: NINE + self._elapsed(), elapsed=self._elapsed)
        self.service = Service(self.settings, self.ledger, self.clock)
        self.service._followers.clear()
        self.service._listener.status = ListenerStatus(
            ListenerState.LISTENING, polled_at=NINE, partitions=1, lag=0, caught_up=True
        )

    @staticmethod
    def _more() -> list[dict[str, Any]]:
        return [{"outcome": "registered", "version": version, "known_users": 1000} for version in (2, 3)]

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun + self._passed

    def wait(self, seconds: float) -> None:
        """Let time pass, and have the service see it."""
        self._passed += seconds
        assert self.service._turned()
        self.service._reported_at = self.service._status_at = float("-inf")  # else it says so within three seconds
        assert self.service._turned()

    def wait_until(self, moment: float) -> None:
        self.wait(moment - self.clock.now())

    def arrive(self, user: str) -> None:
        at = self.ledger.intake.positions("t")[P0]
        self.ledger.intake.record(batch(P0, at, [user], self.clock.now()))

    def turn_until(self, done: Callable[[], bool], what: str) -> None:
        wait_until(lambda: self.service._turned() and done(), 60, what)

    def champion(self) -> int | None:
        return self.ledger.views.history().champion

    def verdict(self) -> Verdict:
        self.wait(0.0)
        return freshness_now(self.settings, self.ledger, self.clock.now())

    def close(self) -> None:
        self.service._supervisor.stop()
        self.ledger.close()


@pytest.fixture
def evening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evening]:
    for name, value in {
        "STATE_DIR": str(tmp_path / "state"),
        "TRAINER__WARM": "false",
        "TRIGGER__QUIET_PERIOD": "0",
        "TRIGGER__MIN_INTERVAL": "0",
        "TRIGGER__QUIET_HOURS": "22:00-06:00",
        "SLO__FRESHNESS": "30m",
    }.items():
        monkeypatch.setenv(f"RETRAINER_{name}", value)
    monkeypatch.chdir(tmp_path)
    with closing(Evening(tmp_path)) as found:
        yield found


def test_a_promise_is_kept_put_at_risk_by_quiet_hours_and_broken_until_they_are_over(evening: Evening) -> None:
    evening.arrive("a")
    evening.turn_until(lambda: evening.champion() == 1, "the first version")

    evening.arrive("b")
    assert evening.verdict().state is FreshnessState.KEPT
    evening.wait(28 * MINUTE)
    assert evening.champion() == 1
    assert evening.verdict().state is FreshnessState.KEPT
    evening.wait(MINUTE)  # a twentieth of the promise is left
    evening.turn_until(lambda: evening.champion() == 2, "a cycle for the promise")
    assert evening.ledger.views.cycles()[-1]["reason"] == Reason.FRESHNESS.value
    assert evening.verdict().oldest_age is None

    evening.wait_until(NINE + 70 * MINUTE)  # quiet hours
    evening.arrive("c")
    found = evening.verdict()
    assert found.state is FreshnessState.AT_RISK
    assert found.reason is not None
    assert "quiet hours last until 06:00 UTC" in found.reason
    status = overview(evening.settings, evening.ledger, evening.clock, read_status(evening.settings.status_file))
    assert (status["hold"], status["hold_until"]) == (Hold.QUIET_HOURS.value, SIX)
    assert "until 2026-06-02 06:00:00 UTC" in rows(status)["state"]
    assert not any("freshness" in line for line in problems(status))  # it may be kept yet

    evening.wait(31 * MINUTE)
    assert evening.verdict().state is FreshnessState.BROKEN
    status = overview(evening.settings, evening.ledger, evening.clock, read_status(evening.settings.status_file))
    assert status["freshness"]["state"] == "broken"
    assert rows(status)["freshness"].startswith("broken: the oldest change is 31m")
    assert "30m are promised: quiet hours last until 06:00 UTC" in rows(status)["freshness"]
    assert [line for line in problems(status) if line.startswith("freshness: the oldest change is 31m")]

    evening.wait_until(SIX - 1)
    assert evening.champion() == 2
    evening.wait_until(SIX)
    evening.turn_until(lambda: evening.champion() == 3, "the cycle after quiet hours")
    evening.wait(MINUTE)
    after = evening.verdict()
    assert (after.state, after.oldest_age) == (FreshnessState.KEPT, None)
    assert after.kept_day is not None
    assert after.kept_day < 0.2  # most of the minutes that are known were broken
    assert after.error_budget_left is not None
    assert after.error_budget_left < 0
    (last, *_) = reversed(evening.ledger.samples.read(NINE, evening.clock.now()))
    assert (last.champion, last.lag, last.pending_users, last.oldest_pending_s) == (3, 0, 0, None)
    assert last.consumer_bytes is not None
    assert last.consumer_bytes > 2**20


def test_a_change_that_would_be_due_in_quiet_hours_is_learned_before_they_begin(evening: Evening) -> None:
    evening.arrive("a")
    evening.turn_until(lambda: evening.champion() == 1, "the first version")
    evening.wait_until(NINE + 45 * MINUTE)
    evening.arrive("b")
    assert evening.verdict().state is FreshnessState.KEPT
    until = overview(evening.settings, evening.ledger, evening.clock, read_status(evening.settings.status_file))[
        "hold_until"
    ]
    assert NINE + 55 * MINUTE < until < NINE + 60 * MINUTE
    evening.wait_until(until)
    evening.turn_until(lambda: evening.champion() == 2, "a cycle before quiet hours")


@pytest.mark.full
def test_a_service_breaks_its_promise_in_quiet_hours_and_an_order_mends_it(tmp_path: Path, kafka_address: str) -> None:
    now = datetime.now(UTC)
    hours = f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    more = {"SLO__FRESHNESS": "40s", "TRIGGER__QUIET_HOURS": hours}
    with closing(Running(tmp_path, kafka_address, **more)) as service:

        def state() -> str:
            """Empty while there is no ledger yet."""
            told = service.call("status", "--json").stdout
            return str(json.loads(told)["freshness"]["state"]) if told else ""

        service.fill()
        service.start()
        wait_until(lambda: state() == "broken", 90, "the first users to be too old")
        status = service.status()
        assert (status["hold"], status["champion"]) == (Hold.QUIET_HOURS, None)
        assert "quiet hours of 4h" in str(status["freshness"]["conflicts"])
        assert service.call("train", "--timeout", "200").returncode == 0
        wait_until(lambda: state() == "kept", 60, "what arrived to be learned")
        assert service.call("status", "--check").returncode == 0

        service.wave(1)
        wait_until(lambda: state() == "at_risk", 35, "the promise to be at risk")
        wait_until(lambda: state() == "broken", 90, "the promise to be broken")
        told = service.call("status", "--check")
        assert told.returncode == 1
        assert "40s are promised: quiet hours last until" in told.stdout
        assert len(service.versions()) == 1

        assert service.call("train", "--timeout", "200").returncode == 0
        wait_until(lambda: state() == "kept", 60, "the promise to be kept again")
        assert service.stop() == 0
        warned = [line["reason"] for line in service.log() if line["event"] == PROMISE_IN_DOUBT]
        assert any("quiet hours of 4h" in reason for reason in warned)
