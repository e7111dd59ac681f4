"""docs/metrics.md: the tables, written from the registry between two marks.

python -m consumer.metrics.reference            writes them
python -m consumer.metrics.reference --check    exit code 1 where the page is not what the registry says
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from consumer.metrics import instance_metrics, ledger_metrics
from consumer.metrics.metric import Label, Metric
from consumer.metrics.registry import PROCESS_SERIES

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"

_HEAD = "| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|"


def page(text: str) -> str:
    """The page with the tables of today between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/metrics.md needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def reference() -> str:
    """A table for each place that values come from."""
    groups: dict[str, list[Metric]] = {}
    for metric in (*ledger_metrics.METRICS, *instance_metrics.METRICS):
        groups.setdefault(f"From {metric.source.words}", []).append(metric)
    parts = []
    for title, metrics in groups.items():
        parts.append(f"### {title}\n\nSeveral instances: {metrics[0].source.together}.\n\n{_table(metrics)}")
    names = ", ".join(f"`{name}`" for name in PROCESS_SERIES)
    parts.append(f"### Of every program\n\nOn Linux, of the service's own process: {names}.")
    return "\n\n".join(parts)


def _table(metrics: Iterable[Metric]) -> str:
    return "\n".join([_HEAD, *map(_row, metrics)])


def _row(metric: Metric) -> str:
    labels = "; ".join(map(_label, metric.labels))
    buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}." if metric.buckets else ""
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.help}{buckets} |"


def _label(label: Label) -> str:
    return f"`{label.name}`: {', '.join(_values(label))}"


def _values(label: Label) -> Iterator[str]:
    if label.values:
        yield from (f"`{value}`" for value in label.values)
    else:
        yield label.bounded_by


def main() -> int:
    """Write the tables, or check them; returns the exit code."""
    text = PAGE.read_text()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(text))
    elif page(text) != text:
        print("docs/metrics.md is not current: run `make schemas`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
