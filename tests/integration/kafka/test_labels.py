"""Labels on their way from a topic into a cycle, beside users; the trainer is a stand-in that ends as it is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from consumer.changes.kinds import LABELS
from consumer.changes.portions import in_portion_of
from consumer.database.tables import PENDING
from consumer.dead_letters.store import Which
from consumer.decoding import decoders, to_batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Partition
from consumer.settings import Settings, load_settings
from retrainer.cli import app
from schemas.cycle import CycleKind
from schemas.events import encode_label
from schemas.labels import LabelGroup, PairKey, pair_of
from tests.contract.ledgers import P0, P1, batch
from tests.fuzz.properties import Record
from tests.integration.listening import everything_is_read, has_caught_up, listening, settings_for
from tests.integration.service import Service
from tests.integration.stand_in import StandIn
from tests.integration.topics import Topic
from tests.leading import leading
from tests.waiting import wait_until

AB, BC, CD = ("a", "b"), ("b", "c"), ("c", "d")
FIRST = {"outcome": "registered", "version": 1}


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RETRAINER_TRAINER__WARM", "false")
    monkeypatch.setenv("RETRAINER_LABELS__DIRECTED", "true")
    monkeypatch.setenv("RETRAINER_KAFKA__TOPIC", "t")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("retrainer.cli.train.configure", lambda _: None)  # or logs go where the command's output went
    monkeypatch.chdir(tmp_path)
    return StandIn(tmp_path)


@pytest.fixture
def ledger(trainer: StandIn) -> Iterator[Ledger]:
    with closing(open_ledger(load_settings().ledger.url)) as opened:
        opened.intake.start_at({P0: 0, P1: 0}, 0.0)
        yield opened


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("status", "--json").stdout)
    return found


def pending(ledger: Ledger) -> set[PairKey]:
    with ledger.engine.connect() as connection:
        pairs = connection.scalars(select(LABELS.key).where(in_portion_of(LABELS, PENDING)))
        return set(map(pair_of, pairs))


def test_a_cycle_is_asked_for_users_and_labels_and_status_tells_both(trainer: StandIn, ledger: Ledger) -> None:
    ledger.intake.record(batch(P0, 0, ["a", AB, CD]))
    assert (told()["pending"]["users"], told()["pending"]["labels"]) == (1, 2)
    assert "1 users and 2 labels, the oldest" in call("status").stdout
    known = {"accepted": 2, "deleted": 0, "positives": 1, "negatives": 1}
    trainer.will({**FIRST, "labels": known}, {"outcome": "unchanged"})
    assert call("train", "--full").exit_code == 0
    (request,) = trainer.requests()
    assert (request["users"], request["labels"]) == (["a"], [list(AB), list(CD)])
    assert request["settings"]["labels"]["directed"] is True
    assert request["lineage"]["changed_labels"] == 2
    assert (told()["pending"]["labels"], told()["known_labels"]) == (0, 2)
    assert "0 users and 0 labels" in call("status").stdout
    (version,) = json.loads(call("versions", "--json").stdout)
    assert (version["changed_users"], version["changed_labels"]) == (1, 2)
    assert " labels " in call("versions").stdout
    ledger.intake.record(batch(P0, 3, [BC]))
    assert call("train").exit_code == 0  # a label alone is something to learn
    assert trainer.requests()[-1]["labels"] == [list(BC)]


def test_where_a_bulk_copy_may_lag_behind_a_cycle_hears_which_labels_were_learned_lately(
    trainer: StandIn, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRAINER_LEDGER__REMEMBER", "true")  # as in a cluster, where the first cycle does not run here
    ledger.intake.record(batch(P0, 0, ["a", AB], now=time.time()))
    trainer.will(FIRST, {"outcome": "rejected"}, {"outcome": "rejected"})
    assert call("train", "--full").exit_code == 0
    assert call("train", "--full").exit_code == 0
    monkeypatch.setenv("RETRAINER_HOPSWORKS__HOST", "hops.example")
    monkeypatch.setenv("RETRAINER_HOPSWORKS__PROJECT", "spotify")
    monkeypatch.setenv("RETRAINER_MODEL_REGISTRY__KIND", "local")
    assert call("train", "--full").exit_code == 0
    of_a_file, of_a_cluster = trainer.requests()[1:]
    assert (of_a_file["recently_learned_users"], of_a_file["recently_learned_labels"]) == ([], [])
    assert (of_a_cluster["recently_learned_users"], of_a_cluster["recently_learned_labels"]) == (["a"], [list(AB)])


def test_where_there_is_no_label_group_labels_are_not_spoken_of(
    trainer: StandIn, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETRAINER_LABELS__DIRECTED")
    ledger.intake.record(batch(P0, 0, ["a"]))
    trainer.will(FIRST)
    assert call("train", "--full").exit_code == 0
    assert "label" not in str(told()).replace(str(load_settings().state_dir), "")
    assert " labels" not in call("status").stdout + call("versions").stdout
    monkeypatch.setenv("RETRAINER_LABELS__DIRECTED", "true")
    assert (told()["pending"]["labels"], told()["known_labels"]) == (0, 0)


def test_a_dead_letter_of_a_label_is_replayed_when_it_is_understood(
    trainer: StandIn, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Partition("follows", 0)
    ledger.intake.start_at({topic: 0}, 0.0)
    monkeypatch.setenv("RETRAINER_KAFKA__LABEL_TOPIC", "follows")
    renamed = Record(None, encode_label(LabelGroup(other_key="friend"), AB))
    ledger.intake.record(to_batch(decoders(load_settings()), {topic: [renamed]}, {topic: 0}, 100.0))
    (entry,) = ledger.letters.find(Which(), 9)
    assert entry.reason == "entry lacks the primary key 'other_user_id'"
    monkeypatch.setenv("RETRAINER_LABELS__OTHER_KEY", "friend")
    assert "1 understood and pending" in call("dead-letters", "replay", "--all").stdout
    assert pending(ledger) == {AB}
    (settled,) = ledger.letters.find(Which("replayed"), 9)
    assert settled.settled_reason == "its label is pending"


def with_labels(users: Topic, labels: Topic, folder: Path) -> Settings:
    return settings_for(users, folder, label_topic=labels.name)


def test_both_topics_are_read_side_by_side_and_a_bad_label_stops_neither(broker: str, tmp_path: Path) -> None:
    users, labels = Topic.new(broker), Topic.new(broker, partitions=2)
    users.send_users(["a", "b", "a"])
    labels.send_labels([AB, BC, AB])
    labels.send([(None, b'{"entry": {"user_id": "a"}}', ())])
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        with listening(with_labels(users, labels, tmp_path), ledger.intake) as listener:
            everything_is_read(ledger, 7)
            has_caught_up(listener, 5)
            labels.send_labels([CD])
            everything_is_read(ledger, 8)
        assert pending(ledger) == {AB, BC, CD}
        assert ledger.views.backlog().users == 2
        for topic, events in ((users, 3), (labels, 5)):
            assert sum(ledger.intake.positions(topic.name).values()) == events
        (letter,) = ledger.letters.find(Which(), 9)
        assert (letter.position.topic, letter.reason) == (labels.name, "entry lacks the primary key 'other_user_id'")
        claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 0.0, fence=leading(ledger).fence)
        assert sum(end for start, end in claim.lineage.offsets[labels.name].values()) == 5


@pytest.mark.full
def test_a_service_that_is_killed_learns_every_label_and_a_replay_has_them_learned_again(
    kafka_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = StandIn(tmp_path)
    known = {"accepted": 9, "deleted": 0, "positives": 100}
    trainer.will(*({"outcome": "registered", "version": number, "labels": known} for number in range(1, 9)))
    labels = Topic.new(kafka_address, partitions=1)
    more = {"KAFKA__LABEL_TOPIC": labels.name, "TRIGGER__CHANGED_LABELS": "3", "TRIGGER__CHANGED_LABEL_SHARE": "1"}
    service = Service(tmp_path, kafka_address, **more)
    try:
        began = datetime.now(UTC)
        service.start()
        service.wait_for_cycles(1)  # the bootstrap
        labels.send_labels([AB, BC])
        wait_until(lambda: service.counted().events == 2, 40, "two labels in the ledger")
        service.kill()
        labels.send_labels([CD])
        service.start()
        service.wait_for_cycles(2)
        asked = trainer.requests()[-1]
        assert (asked["reason"], asked["kind"]) == ("enough labels changed", "incremental")
        assert sorted(map(tuple, asked["labels"])) == [AB, BC, CD]
        assert service.ended()[-1]["changed_labels"] == 3
        assert service.stop() == 0
        window = [(began - timedelta(hours=1)).isoformat(), (datetime.now(UTC) + timedelta(hours=1)).isoformat()]
        replayed = service.call("replay", "--from", window[0], "--to", window[1])
        assert "3 events of 0 users and 3 labels" in replayed.stdout, replayed
        assert trainer.requests()[-1]["lineage"]["replayed"] == {labels.name: {"0": [[0, 3]]}}
        assert service.status()["pending"]["labels"] == 0
    finally:
        service.close()
