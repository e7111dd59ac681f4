"""What the process tells of itself: how far it is behind in the events' own time, and how it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consumer.ledger.batch import Batch
from consumer.memory import Memory
from consumer.metrics.from_instance import event_time_lag, tell_memory, tell_status
from consumer.metrics.readings import Readings
from consumer.status import ServiceState, Status
from schemas.events import Operation
from tests.unit.consumer.metrics.test_readings import page

STATUS = Status(pid=1, state="listening", written_at=100.0, polled_at=99.0, lag=7, hold=None, cycle=None)


@pytest.mark.parametrize(
    ("lag", "stored", "expected"),
    [
        (7, 40.0, 60.0),
        (0, 40.0, 0.0),  # nothing is left: however old the last event, we are not behind
        (0, None, 0.0),
        (7, None, None),  # nothing was read yet
        (None, 40.0, None),  # the broker is away
        (7, 400.0, 0.0),  # a producer's clock is ahead
    ],
)
def test_how_far_reading_is_behind(lag: int | None, stored: float | None, expected: float | None) -> None:
    assert event_time_lag(replace(STATUS, lag=lag, stored_event_at=stored), 100.0) == expected


def test_the_newest_event_of_a_batch_is_that_of_users_and_labels() -> None:
    batch = Batch(received_at=100.0)
    assert batch.newest_event_at is None
    batch.add("a", Operation.UPSERT, "t:0:1", 30.0)
    batch.add("a", Operation.UPSERT, "t:0:2", 20.0)
    assert batch.newest_event_at == 30.0
    batch.add_label('["a","b"]', Operation.DELETE, "t:0:3", 50.0)
    assert batch.newest_event_at == 50.0


def test_one_state_is_the_present_one() -> None:
    into = Readings()
    tell_status(into, replace(STATUS, state=ServiceState.HELD, unable="broker away", trouble="disk full"), 100.0)
    found = page(into)
    states = {labels["state"]: found.of("retrainer_state", **labels) for labels in found.labels("retrainer_state")}
    assert {state for state, value in states.items() if value} == {"held"}
    assert len(states) > 10
    assert found.of("retrainer_listener_reads") == 0
    assert found.of("retrainer_trouble") == 1
    assert found.of("retrainer_last_poll_timestamp_seconds") == 99.0


def test_a_service_that_has_said_nothing_and_a_machine_that_tells_nothing_leave_nothing() -> None:
    into = Readings()
    tell_status(into, None, 100.0)
    tell_memory(into, None)
    assert page(into) == {}
    tell_memory(into, Memory(5, 7, 2))
    assert page(into).of("retrainer_child_processes") == 2
