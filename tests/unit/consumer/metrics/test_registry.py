"""Names are those that Prometheus asks for, and labels have few values."""

from __future__ import annotations

import re

import pytest

from consumer.metrics import metric
from consumer.metrics.metric import Kind, Label, Metric
from consumer.metrics.registry import METRICS, by_series
from schemas.cycle import CycleKind, Outcome, Step

EACH = pytest.mark.parametrize("one", METRICS, ids=[one.name for one in METRICS])
BASE_UNITS = {"", "seconds", "bytes", "ratio"}
NAMES_OF_PEOPLE = {"user", "user_id", "pair", "key", "id", "cycle_id", "error", "by"}
MOST_SERIES = 200


@EACH
def test_a_name_is_one_that_prometheus_asks_for(one: Metric) -> None:
    assert re.fullmatch(r"retrainer(_[a-z]+)+", one.name)
    assert one.unit in BASE_UNITS
    assert (one.kind is Kind.COUNTER) == one.name.endswith("_total")
    assert (one.kind is Kind.INFO) == one.name.endswith("_info")
    assert one.name.removesuffix("_total").endswith(f"_{one.unit}" if one.unit else "")
    assert bool(one.buckets) == (one.kind is Kind.HISTOGRAM)
    assert list(one.buckets) == sorted(one.buckets)


@EACH
def test_a_unit_in_the_name_is_its_unit(one: Metric) -> None:
    last = one.name.removesuffix("_total").rpartition("_")[2]
    assert one.unit == last or last not in BASE_UNITS


@EACH
def test_help_is_a_sentence(one: Metric) -> None:
    assert re.fullmatch(r"[A-Z0-9][^\n]+\.", one.help)


@EACH
def test_labels_have_few_values_and_name_nobody(one: Metric) -> None:
    series = len(one.buckets) + 2
    for label in one.labels:
        assert label.name not in NAMES_OF_PEOPLE
        assert bool(label.values) != bool(label.bounded_by), label.name
        series *= len(label.values) + 1 if label.values else 1
    assert series <= MOST_SERIES or one.name == "retrainer_call_duration_seconds"


def test_no_name_comes_twice() -> None:
    assert len(by_series()) == sum(len(one.series) for one in METRICS)
    assert len({one.name for one in METRICS}) == len(METRICS)


def test_the_names_that_were_promised_are_there() -> None:
    promised = {
        "retrainer_event_time_lag_seconds": (),
        "retrainer_oldest_pending_seconds": (),
        "retrainer_lag_events": (),
        "retrainer_pending": ("what",),
        "retrainer_cycles_total": ("kind", "outcome"),
        "retrainer_step_duration_seconds": ("step",),
        "retrainer_cycle_duration_seconds": ("kind",),
        "retrainer_champion_info": ("version",),
    }
    found = {one.name: tuple(label.name for label in one.labels) for one in METRICS}
    assert promised.items() <= found.items()


def test_enumerations_are_labels_as_a_whole() -> None:
    values = {(one.name, label.name): set(label.values) for one in METRICS for label in one.labels}
    assert values["retrainer_cycles_total", "kind"] == set(CycleKind)
    assert values["retrainer_cycles_total", "outcome"] == set(Outcome) - {Outcome.PROBED}
    assert values["retrainer_step_duration_seconds", "step"] == set(Step)


def test_a_label_takes_no_other_value() -> None:
    assert Label("kind", ("full",)).clean("full") == "full"
    assert Label("kind", ("full",)).clean("alice@example.com") == metric.OTHER
    assert Label("version", bounded_by="one at a time").clean(7) == "7"
