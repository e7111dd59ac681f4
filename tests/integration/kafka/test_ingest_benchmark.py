"""The sides of the ingest rows on a real Kafka: both read all of it, and what ours keeps is what was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.ingest.rate import Reader, Topic
from benchmarks.rows import ResultsDifferError
from tests.watching.tab import browser_missing


@pytest.mark.full
def test_both_sides_read_the_topic_and_a_loss_is_seen(kafka_address: str, tmp_path: Path) -> None:
    topic = Topic.filled(kafka_address, "ingest-bench", 3_000, 200, skewed=True)
    reader = Reader(tmp_path, quix=None)
    assert all(rate > 0 for side in ("bare", "ours") for rate in reader.rates([side], topic)[side])
    topic.events["listener-000000"] += 1
    topic.events["listener-000001"] -= 1
    with pytest.raises(ResultsDifferError, match="2 differ"):
        reader.rate("ours", topic)


@pytest.mark.full
def test_a_service_that_is_watched_reads_the_topic_too(capfd: pytest.CaptureFixture[str], kafka_can_run: None) -> None:
    if lacking := browser_missing():
        pytest.skip(f"Chromium left out: {lacking}")
    assert main(["--quick", "--only", "ingest.watched"]) == 0
    told = capfd.readouterr().out
    assert "not measured" not in told
    assert "scrapes, the slowest" in " ".join(told.split())
