"""Values become families of the client library; a label out of bounds becomes `other`."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family

from consumer.metrics.instance_metrics import LAG_EVENTS, RESIDENT
from consumer.metrics.ledger_metrics import CALL_SECONDS, CYCLE_SECONDS, CYCLES, PENDING
from consumer.metrics.metric import Metric
from consumer.metrics.readings import Readings, Spread, families_of
from tests.pages_of_metrics import Page, read_page


def page(*parts: Readings) -> Page:
    class Given:
        def collect(self) -> list[Family]:
            return list(families_of(parts))

    registry = CollectorRegistry()
    registry.register(Given())
    return read_page(generate_latest(registry).decode())


def test_what_is_not_known_is_left_out() -> None:
    into = Readings()
    into.put(LAG_EVENTS, None)
    assert page(into) == {}
    into.put(LAG_EVENTS, 0)
    assert page(into).of("retrainer_lag_events") == 0


def test_values_that_a_label_may_not_have_are_added_up() -> None:
    into = Readings()
    for kind in ("full", "a kind of the next release", "another one"):
        into.put(CYCLES, 2, kind=kind, outcome="failed")
    found = page(into)
    assert found.of("retrainer_cycles_total", kind="full", outcome="failed") == 2
    assert found.of("retrainer_cycles_total", kind="other", outcome="failed") == 4


@pytest.mark.parametrize("labels", [{}, {"what": "users", "user": "u1"}])
def test_a_metric_has_exactly_its_labels(labels: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="retrainer_pending has the labels"):
        Readings().put(PENDING, 1, **labels)


def test_a_histogram_counts_what_is_at_most_each_bound() -> None:
    spread = Spread((1, 10))
    for value in (0.5, 1, 2, 100):
        spread.saw(value)
    into = Readings()
    into.put_spread(CYCLE_SECONDS, spread, kind="full")
    spread.saw(5)  # a page is of one moment
    found = page(into)
    name = "retrainer_cycle_duration_seconds"
    assert [found.of(f"{name}_bucket", kind="full", le=le) for le in ("1.0", "10.0", "+Inf")] == [2, 3, 4]
    assert (found.of(f"{name}_count", kind="full"), found.of(f"{name}_sum", kind="full")) == (4, 103.5)


def test_a_summary_has_a_count_and_a_sum() -> None:
    into = Readings()
    into.put_sum(CALL_SECONDS, 3, 1.5, where="registry", call="find", outcome="ok")
    found = page(into)
    labels = {"where": "registry", "call": "find", "outcome": "ok"}
    assert found.of("retrainer_call_duration_seconds_count", **labels) == 3
    assert found.of("retrainer_call_duration_seconds_sum", **labels) == 1.5


def test_parts_of_a_page_share_their_families_and_can_be_read_again() -> None:
    one, other = Readings(), Readings()
    one.put(RESIDENT, 5, process="consumer")
    other.put(RESIDENT, 7, process="trainers")
    for _ in range(2):
        found = page(one, other)
        assert [found.of("retrainer_resident_memory_bytes", process=name) for name in ("consumer", "trainers")] == [
            5,
            7,
        ]


@pytest.mark.parametrize("metric", [CYCLE_SECONDS, CALL_SECONDS])
def test_a_plain_value_is_none_of_a_histogram(metric: Metric) -> None:
    into = Readings()
    into.put(metric, 1.0, **{label.name: "full" for label in metric.labels})
    with pytest.raises(TypeError, match="has no such value"):
        list(families_of([into]))
