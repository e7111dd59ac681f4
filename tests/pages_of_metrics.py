"""What a page of metrics says, by the names that a query uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from consumer.metrics.collector import Metrics


class Page(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """Values by the name of a series and its labels."""

    def of(self, name: str, **labels: str) -> float | None:
        return self.get((name, frozenset(labels.items())))

    def names(self) -> set[str]:
        return {name for name, _ in self}

    def labels(self, name: str) -> list[dict[str, str]]:
        return [dict(labels) for found, labels in self if found == name]


def read_page(text: str, *, openly: bool = False) -> Page:
    return Page(_samples((open_metrics if openly else plain)(text)))


def page_of(metrics: Metrics) -> Page:
    body, _ = metrics.page("")
    return read_page(body.decode())


def _samples(families: Any) -> Iterator[tuple[tuple[str, frozenset[tuple[str, str]]], float]]:
    for family in families:
        for sample in family.samples:
            yield (sample.name, frozenset(sample.labels.items())), sample.value
