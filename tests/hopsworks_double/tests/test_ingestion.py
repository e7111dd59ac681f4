"""From an insert to the notification of every row, on a real broker, in every shape that a cluster may give it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest

from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess, Variants
from tests.hopsworks_double.clients.notifications import Notifications
from tests.hopsworks_double.clients.sdk import cluster_with, logged_in
from tests.hopsworks_double.kafka import events
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names


def _topics() -> dict[str, Any]:
    """Of one test; the broker is shared."""
    return {"notification_topic": f"changes-{uuid4().hex}", "ingestion_topic": f"onlinefs-{uuid4().hex}"}


def _frame(rows: dict[str, Any]) -> pd.DataFrame:
    columns = [
        {"user_id": user, **{name: list(map(float, cell)) for name, cell in row.items()}} for user, row in rows.items()
    ]
    return pd.DataFrame(columns)


def test_rows_inserted_by_the_sdk_are_stored_counted_and_notified(tansu_address: str, tmp_path: Path) -> None:
    topics = _topics()
    kafka = KafkaAccess(bootstrap_servers=tansu_address)
    with cluster_with(tmp_path, kafka, **topics) as client:
        double, group = client.double, client.group
        rows = World().rows(names(5))
        options = {"start_offline_materialization": False, "wait_for_online_ingestion": True}
        group.insert(_frame(rows), write_options=options)
        assert dict(double.store.online) == dict(double.store.offline)
        assert double.store.online["u3"]["taste"] == pytest.approx(rows["u3"]["taste"].tolist())
        notifications = Notifications(tansu_address, topics["notification_topic"])
        notified = [json.loads(message.value() or b"") for message in notifications.wait_for(5)]
        assert {event["entry"]["user_id"] for event in notified} == set(names(5))
        assert {event["featureGroupId"] for event in notified} == {group.id}
        latest = group.get_latest_online_ingestion()
        assert (latest.num_entries, [(result.status, result.rows) for result in latest.results]) == (
            5,
            [("UPSERTED", 5)],
        )

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group.remove_rows(_frame(rows).head(1)[["user_id"]], storage="online")
        wait_until(lambda: "u0" not in double.store.online, 10, "the row to be gone")
        assert "u0" in double.store.offline
        notifications.wait_for(6)
        removal = group.get_online_ingestion(latest.id + 1)
        wait_until(lambda: _refreshed(removal), 10, "the removal to be counted")
        assert [(result.status, result.rows) for result in removal.results] == [("DELETED", 1)]


def _refreshed(ingestion: Any) -> Any:
    ingestion.refresh()
    return ingestion.results


def test_the_materialization_job_ends_the_lag(tansu_address: str, tmp_path: Path) -> None:
    with cluster_with(tmp_path, KafkaAccess(bootstrap_servers=tansu_address), **_topics()) as client:
        double = client.double
        double.store.auto_materialize = False
        double.ingestion.send(World().rows(names(3)))
        wait_until(lambda: len(double.store.online) == 3, 10, "the rows")
        assert dict(double.store.offline) == {}
        client.group.materialization_job.run(await_termination=False)
        assert dict(double.store.offline) == dict(double.store.online)


def test_rows_for_one_store_stay_out_of_the_other(tansu_address: str, tmp_path: Path) -> None:
    kafka = KafkaAccess(bootstrap_servers=tansu_address)
    with HopsworksDouble(tmp_path, ClusterSpec(group=GROUP, **_topics()), kafka) as double:
        double.ingestion.send(World().rows(["u1"]), storage="offline")
        double.ingestion.send(World().rows(["u2"]), storage="online")
        double.ingestion.send(World().rows(["u3"]))
        wait_until(lambda: "u3" in double.store.online, 10, "the last row")
        assert (set(double.store.online), set(double.store.offline)) == ({"u2", "u3"}, {"u1", "u3"})


def test_a_shared_topic_is_shared(tansu_address: str, tmp_path: Path) -> None:
    topics, kafka = _topics(), KafkaAccess(bootstrap_servers=tansu_address)
    with HopsworksDouble(tmp_path / "a", ClusterSpec(group=GROUP, **topics), kafka) as one:
        one.ingestion.send(World().rows(["before"]))
        other = HopsworksDouble(tmp_path / "b", ClusterSpec(group=GROUP, **topics), kafka)
        with other:
            one.ingestion.send(World().rows(["mine"]))
            other.ingestion.send(World().rows(["yours"]))
            wait_until(lambda: "yours" in other.store.online and "mine" in one.store.online, 10, "both rows")
            assert (set(one.store.online), set(other.store.online)) == ({"before", "mine"}, {"yours"})


def test_what_was_on_the_topic_before_the_start_is_left_alone(tansu_address: str, tmp_path: Path) -> None:
    group = GROUP.model_copy(update={"id": 15})
    spec = ClusterSpec(group=group, **_topics())
    kafka = KafkaAccess(bootstrap_servers=tansu_address)
    with HopsworksDouble(tmp_path / "a", spec, kafka) as earlier:
        earlier.ingestion.send(World().rows(["before"]))
        wait_until(lambda: "before" in earlier.store.online, 10, "the earlier row")
    with HopsworksDouble(tmp_path / "b", spec, kafka) as later:
        later.ingestion.send(World().rows(["after"]))
        wait_until(lambda: "after" in later.store.online, 10, "the later row")
        assert set(later.store.online) == {"after"}


def test_ingestion_pauses_and_goes_on_where_it_was(tansu_address: str, tmp_path: Path) -> None:
    topics, kafka = _topics(), KafkaAccess(bootstrap_servers=tansu_address)
    with HopsworksDouble(tmp_path, ClusterSpec(group=GROUP, **topics), kafka) as double:
        double.ingestion.pause()
        paused = double.ingestion.send(World().rows(["u1"]))
        silent = ClusterSpec(group=GROUP, **topics | {"notification_topic": None})
        with HopsworksDouble(tmp_path / "other", silent, kafka) as other:
            # By the time that another has ingested what came later, it would have been done.
            other.ingestion.send(World().rows(["u9"]))
            wait_until(lambda: "u9" in other.store.online, 10, "the other's row")
        assert double.ingestions.rows(paused) == {}
        double.ingestion.resume()
        wait_until(lambda: double.ingestions.rows(paused) == {"UPSERTED": 1}, 10, "the paused row")
        double.ingestion.stop()
        stopped = double.ingestion.send(World().rows(["u2"]), ["u1"])
        double.ingestion.start()
        wait_until(lambda: double.ingestions.rows(stopped) == {"UPSERTED": 1, "DELETED": 1}, 10, "the other rows")
        assert set(double.store.online) == {"u2"}
        notifications = Notifications(tansu_address, topics["notification_topic"])
        notifications.wait_for(3)
        assert sorted(key or b"" for key in notifications.keys) == [b"u1", b"u1", b"u2"]


def test_a_message_that_cannot_be_read_is_counted_and_passed_over(tansu_address: str, tmp_path: Path) -> None:
    kafka = KafkaAccess(bootstrap_servers=tansu_address)
    with HopsworksDouble(tmp_path, ClusterSpec(group=GROUP, **_topics()), kafka) as double:
        written, double.cluster.codec.message = double.cluster.codec.message, lambda *_: b"\x7f"  # type: ignore[method-assign]
        broken = double.ingestion.send(World().rows(["u1"]))
        double.cluster.codec.message = written  # type: ignore[method-assign]
        double.ingestion.send(World().rows(["u2"]))
        wait_until(lambda: "u2" in double.store.online, 10, "the row after it")
        assert double.ingestions.rows(broken) == {"FAILED": 1}


def test_another_topic_may_be_made_and_notified(tansu_address: str, tmp_path: Path) -> None:
    with cluster_with(tmp_path, KafkaAccess(bootstrap_servers=tansu_address), **_topics()) as client:
        topic = f"elsewhere-{uuid4().hex}"
        client.project.get_kafka_api().create_topic(topic, "listeners_1", 1, replicas=1, partitions=1)
        client.group.update_notification_topic_name(topic)
        client.double.ingestion.send(World().rows(["u1"]))
        assert Notifications(tansu_address, topic).wait_for(1)[0].key() == b"u1"


@pytest.mark.parametrize(
    ("variants", "count"),
    [
        (Variants(), 2),
        (Variants(delete_events="none"), 1),
        (Variants(delete_events="header", arrays_in_entry="list"), 2),
        (Variants(delete_events="tombstone", event_shape="old"), 2),
        (Variants(keyed=False, arrays_in_entry="absent"), 2),
        (Variants(duplicates=True), 4),
    ],
)
def test_notifications_come_as_the_variant_says(
    tansu_address: str, tmp_path: Path, variants: Variants, count: int
) -> None:
    topics, kafka = _topics(), KafkaAccess(bootstrap_servers=tansu_address)
    spec = ClusterSpec(group=GROUP, variants=variants, notification_partitions=1, **topics)
    with HopsworksDouble(tmp_path, spec, kafka) as double:
        double.ingestion.send(World().rows(["u1"]))
        double.ingestion.send({}, ["u1"])
        notifications = Notifications(tansu_address, topics["notification_topic"])
        messages = notifications.wait_for(count)
        double.ingestion.send(World().rows(["end"]))
        notifications.wait_for(count + 1)
        repeats = 2 if variants.duplicates else 1
        written, deleted = messages[:repeats], messages[repeats:count]
        assert {message.key() for message in written} == {b"u1" if variants.keyed else None}
        assert {json.loads(message.value() or b"")["entry"]["user_id"] for message in written} == {"u1"}
        marks = {message.value() is None for message in deleted}, {bool(message.headers()) for message in deleted}
        expected: dict[str, tuple[set[bool], set[bool]]] = {
            "none": (set(), set()),
            "event": ({False}, {False}),
            "header": ({False}, {True}),
            "tombstone": ({True}, {False}),
        }
        assert marks == expected[variants.delete_events]
        assert json.loads(notifications.messages[count].value() or b"")["entry"]["user_id"] == "end"


def test_the_same_on_apache_kafka(kafka_address: str, tmp_path: Path) -> None:
    topics, kafka = _topics(), KafkaAccess(bootstrap_servers=kafka_address)
    with (
        HopsworksDouble(tmp_path, ClusterSpec(group=GROUP, **topics), kafka) as double,
        logged_in(double, tmp_path) as client,
    ):
        options = {"start_offline_materialization": False}
        client.group.insert(_frame(World().rows(names(5))), write_options=options)
        Notifications(kafka_address, topics["notification_topic"]).wait_for(5)
        assert set(double.store.online) == set(names(5))


def test_a_kafka_of_the_cluster_is_reached_with_its_certificates(tmp_path: Path) -> None:
    kafka = KafkaAccess(bootstrap_servers="kafka.test:9093", security_protocol="SSL")
    double = HopsworksDouble(tmp_path, ClusterSpec(group=GROUP, notification_topic=None))
    double.start()
    double.kafka = kafka
    with logged_in(double, tmp_path) as client:
        connector = client.store._storage_connector_api._get_kafka_connector(client.store.id, external=True)
        options = connector.confluent_options()
        assert options["security.protocol"] == "SSL"
        assert options["ssl.endpoint.identification.algorithm"] == "none"
        for option, pem in (
            ("ssl.ca.location", double.pki.ca_pem),
            ("ssl.certificate.location", double.pki.client_pem),
            ("ssl.key.location", double.pki.client_key_pem),
        ):
            assert _certificates(Path(options[option]).read_text()) == _certificates(pem)
            Path(options[option]).unlink()
    double.stop()


def _certificates(pem: str) -> set[str]:
    return {"".join(block.split()) for block in pem.split("-----BEGIN")[1:]}


@pytest.mark.parametrize("deleted", [False, True])
def test_every_combination_of_what_is_unknown_names_the_user(tmp_path: Path, deleted: bool) -> None:
    double = HopsworksDouble(tmp_path, ClusterSpec(group=GROUP, feature_view=True))
    row = None if deleted else {"taste": [0.5] * 8, "habit": None, "year": [1999.0]}
    combinations: Any = product(
        ("text", "list", "absent"),
        ("new", "old"),
        ("none", "event", "header", "tombstone"),
        (True, False),
        (True, False),
    )
    for arrays, shape, deletes, keyed, twice in combinations:
        variants = Variants(
            arrays_in_entry=arrays, event_shape=shape, delete_events=deletes, keyed=keyed, duplicates=twice
        )
        double.cluster.spec = replace(double.cluster.spec, variants=variants)
        messages = events.messages(double.cluster, double.views.all(), "u1", row)
        assert len(messages) == (0 if deleted and deletes == "none" else 2 if twice else 1)
        for message in messages:
            if message.value is None:
                assert (deleted, deletes, message.key) == (True, "tombstone", b"u1")
                continue
            event = json.loads(message.value)
            assert ("featureGroupName" in event, bool(event["featureViews"])) == (shape == "new", shape == "new")
            assert message.key == (b"u1" if keyed else None)
            assert event["entry"].pop("user_id") == "u1"
            expected: dict[str, Any] = dict.fromkeys(("taste", "habit", "year"))
            if not deleted:
                assert row is not None
                expected = {name: row[name] for name in row}
                if arrays == "text":
                    expected |= {"taste": json.dumps(row["taste"]), "year": "[1999.0]"}
            assert event["entry"] == ({} if arrays == "absent" else expected)
