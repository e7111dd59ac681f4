"""`retrainer import` as a person calls it: rows in the store, events on the topic, and settings where none fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from retrainer.demo.plan import inherited
from tests.waiting import wait_until

RETRAINER = [sys.executable, "-m", "retrainer.cli"]
COLUMNS = json.dumps([{"name": "taste", "length": 2}])


@pytest.fixture
def environment(tansu_address: str, tmp_path: Path) -> dict[str, str]:
    settings = {
        "RETRAINER_STATE_DIR": str(tmp_path / "var"),
        "RETRAINER_KAFKA__BOOTSTRAP_SERVERS": tansu_address,
        "RETRAINER_KAFKA__TOPIC": f"imported-{tmp_path.name}",
        "RETRAINER_FEATURE_GROUP__COLUMNS": COLUMNS,
    }
    return inherited(os.environ, settings)


def imported(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*RETRAINER, "import", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def announced(environment: dict[str, str]) -> list[str]:
    topic = TopicPartition(environment["RETRAINER_KAFKA__TOPIC"], 0)
    with KafkaConsumer(bootstrap_servers=environment["RETRAINER_KAFKA__BOOTSTRAP_SERVERS"]) as consumer:
        consumer.assign([topic])
        end = consumer.end_offsets([topic])[topic]
        consumer.seek(topic, 0)
        keys: list[str] = []
        while consumer.position(topic) < end:
            keys += [record.key.decode() for record in consumer.poll(1000).get(topic, [])]
    return keys


@pytest.mark.full
def test_changes_of_a_file_are_stored_and_announced_once(environment: dict[str, str], tmp_path: Path) -> None:
    path, refused = tmp_path / "users.csv", tmp_path / "refused.jsonl"
    path.write_text("user_id,taste_0,taste_1\na,1,2\nb,3,4\n,5,6\n")
    first = imported(environment, str(path), "--refused", str(refused))
    assert first.returncode == 0, first.stderr
    assert "users: 3 rows read, 2 new, 0 changed, 0 as before, 1 refused" in first.stdout
    assert "2 change events announced" in first.stdout
    assert json.loads(refused.read_text())["number"] == 3
    path.write_text("user_id,taste_0,taste_1\na,1,2\nb,3,5\n")
    again = imported(environment, str(path), "--json")
    assert json.loads(again.stdout)["users"]["changed"] == 1
    assert announced(environment) == ["a", "b", "b"]


@pytest.mark.full
def test_what_no_broker_took_is_announced_by_the_next_import(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("user_id,taste_0,taste_1\na,1,2\n")
    away = {**environment, "RETRAINER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    cut_short = imported(away, str(path), "--timeout", "1")
    assert cut_short.returncode == 1
    assert "Kafka did not answer" in cut_short.stderr
    assert "1 change events announced" in imported(environment, str(path)).stdout
    assert announced(environment) == ["a"]


def test_a_file_that_does_not_fit_ends_with_settings_that_would(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_text('{"user_id": 1, "likes": [1, 2, 3]}\n')
    refused = imported(environment, str(path))
    assert refused.returncode == 1
    assert "taste is missing" in refused.stderr
    assert '{ name = "likes", length = 3 },' in refused.stderr
    assert not (tmp_path / "var" / "feature_store.db").exists()


@pytest.mark.full
def test_a_watched_file_is_imported_whenever_it_changes(environment: dict[str, str], tmp_path: Path) -> None:
    path, out = tmp_path / "users.csv", tmp_path / "out"
    path.write_text("user_id,taste_0,taste_1\na,1,2\n")
    command = [*RETRAINER, "import", str(path), "--watch", "--json"]
    with out.open("w") as output, subprocess.Popen(command, env=environment, stdout=output) as process:
        wait_until(lambda: len(out.read_text().splitlines()) == 1, 30, "the first import")
        beside = tmp_path / "new.csv"
        beside.write_text("user_id,taste_0,taste_1\na,1,2\nb,1,2\n")
        beside.replace(path)
        wait_until(lambda: len(out.read_text().splitlines()) == 2, 30, "the second import")
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert [json.loads(line)["users"]["new"] for line in out.read_text().splitlines()] == [1, 1]
