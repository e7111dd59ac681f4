"""Mutated events in great number through Kafka, listener and ledger: none lost, none twice, no crash (P1, P6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.hopsworks import Source
from tests.fuzz.flood import RESULTS, flood, line

pytestmark = pytest.mark.full

COUNTS = {"sqlite": 50_000, "postgresql": 10_000}
SOURCES: list[Source] = ["notification", "ingestion"]
MOST_MEMORY = 300 * 2**20


@pytest.mark.parametrize("source", SOURCES)
def test_every_message_of_a_flood_is_accounted_for(
    kafka_address: str, ledger_url: str, tmp_path: Path, source: Source
) -> None:
    count = COUNTS[ledger_url.split(":")[0].split("+")[0]] // (1 if source == "notification" else 5)
    outcome = flood(kafka_address, ledger_url, tmp_path, seed=5, count=count, source=source)
    assert outcome.stored + outcome.ignored + outcome.dead == count
    assert min(outcome.stored, outcome.ignored, outcome.dead) > count / 20
    assert not [reason for reason in outcome.reasons if reason.startswith("unexpected")]
    assert outcome.memory_grew < MOST_MEMORY


def test_what_the_documentation_quotes_of_the_last_million_is_what_its_results_say() -> None:
    floods = json.loads(RESULTS.read_text())["floods"]
    quoted = (Path(__file__).parents[2] / "docs" / "runs.md").read_text().splitlines()
    assert floods[0]["messages"] >= 1_000_000
    assert [line(found) for found in floods if f"    {line(found)}" not in quoted] == []
