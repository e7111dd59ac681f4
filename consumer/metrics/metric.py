"""What a metric is. Labels have few values: an enumeration, or what is told in words. None names a user."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

OTHER = "other"
"""The value of a label for what this release has no word for, such as a cycle of a later release."""


class Kind(StrEnum):
    """How a metric behaves, in Prometheus' words."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    INFO = "info"


class Source(Enum):
    """Where a value comes from, and so how those of several instances go together."""

    LEDGER = "the ledger", "the same at every instance, and after a restart: `max`"
    LEDGER_SINCE_START = "the ledger, from this instance's start", "every instance counts the same cycles: `max`"
    INSTANCE = "this instance", "each instance has its own: `sum`, `max` or `min`, as the question is"

    @property
    def words(self) -> str:
        """Where from."""
        return self.value[0]

    @property
    def together(self) -> str:
        """How those of several instances go together."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a metric. Of `values` and `bounded_by` one is given."""

    name: str
    values: tuple[str, ...] = ()
    """Every value there may be, beside `OTHER`."""
    bounded_by: str = ""
    """Why there are few, where they are not known beforehand."""

    def clean(self, value: object) -> str:
        """A value that the label may have: the given one, or `OTHER`."""
        return str(value) if not self.values or str(value) in self.values else OTHER


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, as it is scraped.

    Attributes:
        name: with the unit, and with `_total` or `_info` where the kind asks for that.
        help: what it is, in a sentence.
        unit: a base unit of Prometheus; empty for a count.
        buckets: upper bounds, of a histogram.
    """

    name: str
    kind: Kind
    source: Source
    help: str
    unit: str = ""
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names that a query may use."""
        match self.kind:
            case Kind.HISTOGRAM:
                return f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count"
            case Kind.SUMMARY:
                return f"{self.name}_sum", f"{self.name}_count"
        return (self.name,)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that a query may use, `le` of a histogram included."""
        return (*(label.name for label in self.labels), *(("le",) if self.kind is Kind.HISTOGRAM else ()))
