"""Several workers begin with the files that take longest, so that none is left with one when the others are done.

By tests/tiers/durations.json, the record of an earlier run: one that is old costs time, and nothing else. Whoever runs
one process has the files in their own order.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import pytest

from tests.tiers.durations import RESULTS


def longest_first(files: Sequence[str], seconds: Mapping[str, float], full: Collection[str]) -> list[str]:
    """The files without a record that have tests of the full tier, then by their seconds, then the others; stable."""

    def rank(file: str) -> tuple[bool, float]:
        taken = seconds.get(file, 0.0)
        return (file in seconds or file not in full, -taken)

    return sorted(files, key=rank)


def recorded() -> dict[str, float]:
    """The seconds of each file when they were last recorded."""
    return {file: taken["seconds"] for file, taken in json.loads(RESULTS.read_text())["files"].items()}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    full = {_file(item) for item in items if item.get_closest_marker("full") is not None}
    files = longest_first(list(dict.fromkeys(map(_file, items))), recorded(), full)
    places = {file: place for place, file in enumerate(files)}
    items.sort(key=lambda item: places[_file(item)])


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
