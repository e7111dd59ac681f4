"""P1 and P6 under more than a service can take at once: a burst while a cycle trains, a ledger that takes nothing.

RETRAINER_TEST_BURST is how many events the burst has, where a million is too many for a machine.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.state import ListenerState
from schemas.log_events.event import LogEvent
from schemas.log_events.listener import LEDGER_REFUSES_CHANGES, LEDGER_TAKES_CHANGES
from tests.integration.burst import Sample, Watch, send_burst
from tests.integration.service import Service
from tests.waiting import wait_until
from tests.worlds import names

REFUSES = ListenerState.LEDGER_REFUSES

pytestmark = pytest.mark.full

EVENTS = int(os.environ.get("RETRAINER_TEST_BURST", "1000000"))
USERS = 20_000
FLAT = 72 * 2**20
"""By how much the consumer's memory may grow in a burst of any length: what the client fetches ahead, and one batch."""
LATE = 5.0
"""How old a told lag may be: the client's last look at the topic's end, and the status file's second."""

KNOWN = 0.95
"""The share of looks at which the lag has to be known while events come."""

Watching = Callable[..., tuple[Service, Watch]]


@pytest.fixture
def watched(tmp_path: Path, kafka_address: str) -> Iterator[Watching]:
    """Starts services on Apache Kafka, and watches them."""
    made: list[tuple[Service, Watch, Ledger]] = []

    def start(users: int, **more: str) -> tuple[Service, Watch]:
        # A listener that does not poll for some seconds would have left its group.
        service = Service(tmp_path, kafka_address, **{"KAFKA__MAX_POLL_INTERVAL_MS": "9000", **more})
        service.fill(users)
        service.start()
        wait_until((service.state_dir / "status.json").exists, 30, "the service to be up")
        ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
        watch = Watch(service, ledger)
        made.append((service, watch, ledger))
        wait_until(lambda: told(watch.look(), "listening", "training"), 60, "the service to listen")
        watch.samples.clear()
        return service, watch

    yield start
    for service, watch, ledger in made:
        watch.close()
        ledger.close()
        service.close()


def told(sample: Sample, *states: str) -> bool:
    return sample.status.state in states and sample.status.lag == 0


def lag_is_honest(watch: Watch, sample: Sample) -> None:
    """Where it is told, no less than the truth was a little before, and no more than what there can be."""
    if sample.status.lag is not None:
        assert sample.status.lag >= watch.end_at(sample.at - LATE) - sample.stored
        assert sample.status.lag <= sample.end


def test_a_burst_while_a_cycle_trains_is_coalesced_in_flat_memory_and_the_group_is_not_left(watched: Watching) -> None:
    service, watch = watched(400, FIT__FULL_EPOCHS="100000", FIT__PATIENCE="100000")
    service.wait_for_step("fit", 0)
    before = watch.look()
    assert before.status.cycle is not None

    producing = threading.Thread(target=send_burst, args=(service, EVENTS, USERS))
    producing.start()

    def over() -> bool:
        sample = watch.look()
        lag_is_honest(watch, sample)
        return sample.stored == before.stored + EVENTS and told(sample, "training")

    wait_until(over, 800, "the burst to be read and no lag to be told")
    producing.join()

    after = watch.samples[-1]
    highest = max(sample.rss for sample in watch.samples)
    lags = [sample.status.lag for sample in watch.samples if sample.status.lag is not None]
    seconds = after.at - before.at
    print(
        f"\n{EVENTS} events in {seconds:.0f} s, most lag {max(lags)}, known at {len(lags)} of {len(watch.samples)},"
        f" RSS {before.rss >> 20} -> {highest >> 20} MiB"
    )
    assert len(lags) >= KNOWN * len(watch.samples)
    assert highest - before.rss < FLAT
    assert max(lags) > EVENTS // 20  # it was told of, and not only when it was over
    assert {sample.members for sample in watch.samples} == {before.members}
    assert {sample.status.state for sample in watch.samples} == {"training"}
    assert {sample.status.hold for sample in watch.samples} == {"a cycle is running"}
    cycles = {sample.status.cycle["cycle_id"] for sample in watch.samples if sample.status.cycle}
    assert cycles == {before.status.cycle["cycle_id"]}

    found = service.status()
    assert found["pending"]["users"] == USERS
    assert found["events"] == 400 + EVENTS
    assert (found["lag"], found["dead_letters"]) == (0, 0)
    assert service.stop() == 0


NO_CYCLES = {"TRIGGER__QUIET_PERIOD": "3600", "TRIGGER__MAX_STALENESS": "3600"}


def test_a_ledger_that_takes_nothing_holds_reading_back_and_says_so(watched: Watching) -> None:
    service, watch = watched(400, **NO_CYCLES)
    before = watch.look()
    with closing(sqlite3.connect(service.state_dir / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        service.topic.send_users(names(300))
        wait_until(
            lambda: watch.look().status.state == REFUSES,
            30,
            "the service to say that its ledger takes nothing",
        )
        service.topic.send_users(names(300, start=300))  # while nothing is fetched
        wait_until(lambda: watch.look().status.lag == 600, 30, "the whole lag to be told")
        wait_until(lambda: refusals(service) == 1 and watch.look().status.trouble, 5, "the reason to be told")
        found = service.status()
        assert (found["state"], found["trouble"], found["lag"]) == (
            REFUSES,
            "database is locked",
            600,
        )
        assert watch.look().stored == before.stored
        other.execute("ROLLBACK")
    wait_until(lambda: told(watch.look(), "listening"), 60, "the service to go on")
    assert watch.samples[-1].stored == before.stored + 600
    assert {sample.members for sample in watch.samples} == {before.members}
    assert service.status()["pending"]["users"] == 600
    assert (refusals(service), len(said(service, LEDGER_TAKES_CHANGES))) == (1, 1)
    assert service.stop() == 0


def refusals(service: Service) -> int:
    """How often it said that its ledger takes nothing: once, however often it tried."""
    return len(said(service, LEDGER_REFUSES_CHANGES))


def said(service: Service, event: LogEvent) -> list[dict[str, object]]:
    return [line for line in service.log() if line["event"] == event]
