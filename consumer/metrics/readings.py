"""Values for metrics, as the client library takes them. A metric without a value is left out of the page."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.core import Metric as Family

from consumer.metrics.metric import Kind, Metric

_INFINITE = float("inf")


@dataclass(slots=True)
class Spread:
    """What a histogram has seen."""

    bounds: tuple[float, ...]
    total: float = 0.0
    counts: list[int] = field(default_factory=list)
    """By bucket, the last one for what is above all bounds."""

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def saw(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a histogram or a summary had seen when a page was made."""

    buckets: list[tuple[str, float]]
    """How many were at most each bound."""
    count: int
    total: float


class Readings:
    """The values of a page, or of a part of one.

    A metric is given with exactly its labels. Values that a label may not have become `other`, and are added up there.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, ...], float | _Seen]] = {}

    def put(self, metric: Metric, value: float | None, **labels: object) -> None:
        """A value of a gauge, a counter or an info; None: unknown, so left out."""
        if value is not None:
            values, names = self._of(metric), _names(metric, labels)
            before = values.get(names, 0.0)
            assert isinstance(before, float)
            values[names] = before + float(value)

    def put_spread(self, metric: Metric, spread: Spread, **labels: object) -> None:
        """What a histogram has seen."""
        buckets: list[tuple[str, float]] = []
        seen = 0
        for bound, count in zip((*spread.bounds, _INFINITE), spread.counts, strict=True):
            seen += count
            buckets.append(("+Inf" if bound == _INFINITE else f"{float(bound)}", float(seen)))
        self._of(metric)[_names(metric, labels)] = _Seen(buckets, seen, spread.total)

    def put_sum(self, metric: Metric, count: int, total: float, **labels: object) -> None:
        """How many a summary has seen, and their sum."""
        values, names = self._of(metric), _names(metric, labels)
        before = values.get(names, _Seen([], 0, 0.0))
        assert isinstance(before, _Seen)
        values[names] = _Seen([], before.count + count, before.total + total)

    def _of(self, metric: Metric) -> dict[tuple[str, ...], float | _Seen]:
        self._metrics[metric.name] = metric
        return self._values.setdefault(metric.name, {})

    def into(self, families: dict[str, Family]) -> None:
        """Add these values to the families of a page, by name."""
        for name, metric in self._metrics.items():
            family = families.get(name) or families.setdefault(name, _family_of(metric))
            for labels, value in self._values[name].items():
                _add(family, labels, value)


def families_of(parts: Iterable[Readings]) -> Iterator[Family]:
    """The families of a page that is made of several parts."""
    families: dict[str, Family] = {}
    for part in parts:
        part.into(families)
    yield from families.values()


def _names(metric: Metric, labels: dict[str, object]) -> tuple[str, ...]:
    if labels.keys() != {label.name for label in metric.labels}:
        raise TypeError(f"{metric.name} has the labels {[label.name for label in metric.labels]}, not {[*labels]}")
    return tuple(label.clean(labels[label.name]) for label in metric.labels)


def _family_of(metric: Metric) -> Family:
    labels = [label.name for label in metric.labels]
    match metric.kind:
        case Kind.GAUGE:
            return GaugeMetricFamily(metric.name, metric.help, labels=labels, unit=metric.unit)
        case Kind.COUNTER:
            return CounterMetricFamily(metric.name, metric.help, labels=labels, unit=metric.unit)
        case Kind.HISTOGRAM:
            return HistogramMetricFamily(metric.name, metric.help, labels=labels, unit=metric.unit)
        case Kind.SUMMARY:
            return SummaryMetricFamily(metric.name, metric.help, labels=labels, unit=metric.unit)
        case Kind.INFO:
            return InfoMetricFamily(metric.name.removesuffix("_info"), metric.help, labels=labels)


def _add(family: Family, labels: tuple[str, ...], value: float | _Seen) -> None:
    match family, value:
        case InfoMetricFamily(), float():
            family.add_metric(labels, {})
        case HistogramMetricFamily(), _Seen():
            family.add_metric(labels, value.buckets, value.total)
        case SummaryMetricFamily(), _Seen():
            family.add_metric(labels, value.count, value.total)
        case ((GaugeMetricFamily() | CounterMetricFamily()), float()):
            family.add_metric(labels, value)
        case _:
            raise TypeError(f"{family.name} is a {family.type}, which has no such value")
