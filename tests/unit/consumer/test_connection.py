"""What a cluster tells completes the settings; what is set by hand stays; what was told before helps on a bad day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consumer.connection
from consumer.cluster import ClusterTrouble
from consumer.connection import connected, with_facts
from consumer.deadline import Deadline, TimedOut
from consumer.errors import ConsumerError
from consumer.settings import Settings
from schemas.hopsworks import GroupFacts, KafkaAccess
from schemas.labels import LabelGroup

ACCESS = KafkaAccess(bootstrap_servers=("k1:9093", "k2:9093"), security_protocol="SSL", ssl_check_hostname=False)
FACTS = GroupFacts(
    feature_group_id=15,
    feature_store_id=67,
    online_enabled=True,
    notification_topic="told",
    ingestion_topic="project_onlinefs",
    kafka=ACCESS,
)


def settings(folder: Path, **kafka: Any) -> Settings:
    cluster = {"host": "hops.example", "project": "spotify"}
    values: dict[str, Any] = {"state_dir": folder, "hopsworks": cluster, "kafka": kafka}
    return Settings(**values)


def test_the_cluster_says_where_and_what_to_listen_to(tmp_path: Path) -> None:
    found = with_facts(settings(tmp_path), FACTS)
    assert found.kafka.bootstrap_servers == ["k1:9093", "k2:9093"]
    assert (found.kafka.security_protocol, found.kafka.ssl_check_hostname) == ("SSL", False)
    assert found.kafka.topic == "told"
    assert (found.feature_group.id, found.feature_group.feature_store_id) == (15, 67)


def test_what_is_set_by_hand_stays(tmp_path: Path) -> None:
    by_hand = settings(tmp_path, bootstrap_servers="mine:9092", topic="my_topic")
    found = with_facts(by_hand, FACTS)
    assert found.kafka.bootstrap_servers == ["mine:9092"]
    assert (found.kafka.security_protocol, found.kafka.topic) == ("PLAINTEXT", "my_topic")


def test_each_source_has_its_topic(tmp_path: Path) -> None:
    assert with_facts(settings(tmp_path, source="ingestion"), FACTS).kafka.topic == "project_onlinefs"
    offline = FACTS.model_copy(update={"online_enabled": False, "notification_topic": None})
    assert with_facts(settings(tmp_path, source="bridge"), offline).kafka.topic == "spotify_user_embeddings_changes"


def test_a_group_that_cannot_give_what_is_wanted_is_refused_with_the_way_out(tmp_path: Path) -> None:
    offline = FACTS.model_copy(update={"online_enabled": False})
    with pytest.raises(ConsumerError, match="retrainer bridge"):
        with_facts(settings(tmp_path), offline)
    with pytest.raises(ConsumerError, match="unset RETRAINER_KAFKA__SOURCE"):
        with_facts(settings(tmp_path, source="bridge"), FACTS)
    with pytest.raises(ConsumerError, match=r"setup-hopsworks.*30 minutes"):
        with_facts(settings(tmp_path), FACTS.model_copy(update={"notification_topic": None}))


LABEL_FACTS = GroupFacts(
    feature_group_id=16,
    feature_store_id=67,
    online_enabled=True,
    notification_topic="told of labels",
    ingestion_topic="project_onlinefs",
    kafka=None,
)
OFFLINE_LABELS = LABEL_FACTS.model_copy(update={"online_enabled": False, "notification_topic": None})


def labelled(folder: Path, facts: GroupFacts, told: GroupFacts = FACTS, **kafka: Any) -> Settings:
    given = settings(folder, **kafka).model_copy(update={"labels": LabelGroup()})
    return with_facts(given, told.model_copy(update={"labels": facts}))


def test_the_label_group_has_its_ids_and_its_topic(tmp_path: Path) -> None:
    found = labelled(tmp_path, LABEL_FACTS)
    assert found.labels is not None
    assert (found.labels.id, found.labels.feature_store_id) == (16, 67)
    assert (found.kafka.topic, found.kafka.label_topic) == ("told", "told of labels")
    assert labelled(tmp_path, LABEL_FACTS, label_topic="mine").kafka.label_topic == "mine"
    assert labelled(tmp_path, LABEL_FACTS, source="ingestion").kafka.topics == ("project_onlinefs",)


def test_labels_of_an_offline_only_group_come_by_the_bridge_whatever_the_users_come_by(tmp_path: Path) -> None:
    offline = FACTS.model_copy(update={"online_enabled": False, "notification_topic": None})
    assert labelled(tmp_path, OFFLINE_LABELS).kafka.label_topic == "spotify_user_pair_labels_changes"
    bridged = labelled(tmp_path, OFFLINE_LABELS, offline, source="bridge")
    assert bridged.kafka.label_topic == "spotify_user_pair_labels_changes"
    assert labelled(tmp_path, LABEL_FACTS, offline, source="bridge").kafka.label_topic == "told of labels"


def test_a_label_group_that_tells_nobody_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConsumerError, match=r"label group spotify_user_pair_labels has no notification .*setup-hops"):
        labelled(tmp_path, LABEL_FACTS.model_copy(update={"notification_topic": None}))
    with pytest.raises(ConsumerError, match=r"retrainer bridge --labels"):
        labelled(tmp_path, OFFLINE_LABELS, source="ingestion")


def test_without_a_cluster_nothing_is_asked(tmp_path: Path) -> None:
    local = Settings(state_dir=tmp_path)
    assert connected(local) is local


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Has the cluster give these answers, one after another; gives the list that counts the questions."""

    def give(*given: GroupFacts | Exception) -> list[int]:
        asked: list[int] = []

        def answer(*_: object, **_more: object) -> Any:
            asked.append(1)
            said = given[min(len(asked), len(given)) - 1]
            if isinstance(said, Exception):
                raise said
            return said.model_dump(mode="json")

        monkeypatch.setattr(consumer.connection, "ask_cluster", answer)
        return asked

    return give


def test_a_cluster_that_is_away_is_waited_for(tmp_path: Path, answers: Callable[..., list[int]]) -> None:
    away = ClusterTrouble("no connection", again=True)
    asked = answers(away, away, FACTS)
    pauses: list[float] = []
    assert connected(settings(tmp_path), pauses.append).kafka.topic == "told"
    assert (len(asked), len(pauses)) == (3, 2)


def test_a_cluster_that_stays_away_is_waited_for_until_the_deadline(
    tmp_path: Path, answers: Callable[..., list[int]]
) -> None:
    now = [0.0]
    asked = answers(ClusterTrouble("no connection", again=True))
    with pytest.raises(TimedOut, match=r"the cluster did not answer \(no connection\) for 60 s"):
        connected(
            settings(tmp_path),
            lambda pause: now.append(now[-1] + max(pause, 1)),
            deadline=Deadline(60, lambda: now[-1]),
        )
    assert len(asked) > 5


def test_a_refusal_is_not_waited_for(tmp_path: Path, answers: Callable[..., list[int]]) -> None:
    asked = answers(ClusterTrouble("HTTP 401", again=False))
    with pytest.raises(ConsumerError, match="401"):
        connected(settings(tmp_path), lambda _: None)
    assert len(asked) == 1


def test_what_was_told_before_is_enough_while_the_cluster_is_away(
    tmp_path: Path, answers: Callable[..., list[int]]
) -> None:
    key = tmp_path / "key.pem"
    key.write_text("k")
    secured = FACTS.model_copy(update={"kafka": ACCESS.model_copy(update={"ssl_keyfile": key})})
    answers(secured)
    connected(settings(tmp_path))
    away = ClusterTrouble("no connection", again=True)
    asked = answers(away, FACTS)
    assert connected(settings(tmp_path)).kafka.ssl_keyfile == key
    assert len(asked) == 1
    key.unlink()  # without its files it is worth nothing
    asked = answers(away, FACTS)
    assert connected(settings(tmp_path), lambda _: None).kafka.ssl_keyfile is None
    assert len(asked) == 2


def test_what_was_told_about_another_project_is_not_used(tmp_path: Path, answers: Callable[..., list[int]]) -> None:
    answers(FACTS)
    connected(settings(tmp_path))
    theirs = settings(tmp_path)
    assert theirs.hopsworks is not None
    other = theirs.model_copy(update={"hopsworks": theirs.hopsworks.model_copy(update={"project": "other"})})
    asked = answers(ClusterTrouble("away", again=True), FACTS)
    connected(other, lambda _: None)
    assert len(asked) == 2


def test_what_was_told_before_does_not_help_against_a_refusal(
    tmp_path: Path, answers: Callable[..., list[int]]
) -> None:
    answers(FACTS)
    connected(settings(tmp_path))
    answers(ClusterTrouble("HTTP 401", again=False))
    with pytest.raises(ConsumerError, match="401"):
        connected(settings(tmp_path))
