"""Mutated events in great number through Kafka, listener and ledger: none lost, none twice, no crash (P1, P6)."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.flood import flood

COUNT = 50_000
MOST_MEMORY = 300 * 2**20


def test_every_message_of_a_flood_is_accounted_for(kafka_address: str, tmp_path: Path) -> None:
    outcome = flood(kafka_address, tmp_path, seed=5, count=COUNT)
    assert outcome.stored + outcome.ignored + outcome.dead == COUNT
    assert min(outcome.stored, outcome.ignored, outcome.dead) > COUNT / 20
    assert not [reason for reason in outcome.reasons if reason.startswith("unexpected")]
    assert outcome.memory_grew < MOST_MEMORY
