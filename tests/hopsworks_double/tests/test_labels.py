"""A label group by the unmodified SDK: what is inserted is stored, announced by both users, and read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
from confluent_kafka import Message

from schemas.events import Change, Operation, decode
from schemas.hopsworks import HopsworksStore
from schemas.ingestion import decode_ingestion
from schemas.labels import LabelGroup, PairKey, pair_text
from stores.labels.hopsworks import HopsworksLabelStore
from stores.labels.reading import absent, read_all, read_pairs
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.notifications import Notifications
from tests.hopsworks_double.clients.session import session_of
from tests.waiting import wait_until
from tests.worlds import GROUP

LABELS = LabelGroup(name="follows")
NOON = pd.Timestamp("2026-01-02 12:00", tz="UTC")
WRITTEN: dict[PairKey, str] = {("1", "11"): "follow", ("11", "1"): "accept", ("it's", "a:b"): "block", ("ö", "y"): "?"}


def frame(labels: dict[PairKey, str]) -> pd.DataFrame:
    rows = [(user, other, label, NOON) for (user, other), label in labels.items()]
    return pd.DataFrame(rows, columns=["user_id", "other_user_id", "label", "labelled_at"])


def said(group: LabelGroup, message: Message, *, ingested: bool = False) -> Change:
    headers: dict[str, Any] = dict(message.headers() or [])
    found = (decode_ingestion if ingested else decode)(group, message.key(), message.value(), headers)
    assert isinstance(found, Change)
    return found


def test_labels_that_the_sdk_writes_are_told_by_both_users_and_read(tansu_address: str, tmp_path: Path) -> None:
    topics = {name: f"{name}-{uuid4().hex}" for name in ("notification_topic", "ingestion_topic", "label_topic")}
    spec = ClusterSpec(group=GROUP, labels=LABELS, label_history=False, **topics)  # type: ignore[arg-type]
    kafka = KafkaAccess(bootstrap_servers=tansu_address)
    with HopsworksDouble(tmp_path, spec, kafka) as double, session_of(double) as session:
        ours = LABELS.model_copy(update={"id": double.labels.id, "feature_store_id": double.feature_store_id})
        group = session.project.get_feature_store().get_feature_group("follows", version=1)
        options = {"start_offline_materialization": False, "wait_for_online_ingestion": True}
        group.insert(frame(WRITTEN), write_options=options)
        told = Notifications(tansu_address, topics["label_topic"])
        changed = {said(ours, message).key for message in told.wait_for(len(WRITTEN))}
        on_their_way = Notifications(tansu_address, topics["ingestion_topic"])
        ingested = {said(ours, message, ingested=True).key for message in on_their_way.wait_for(len(WRITTEN))}
        assert changed == ingested == {pair_text(pair) for pair in WRITTEN}
        store = HopsworksLabelStore(session, HopsworksStore(awaits_ingestion=True), LABELS)
        everything = read_all(store, LABELS, (), lambda _read: None)
        assert dict(zip(everything.pairs, everything.positive.tolist(), strict=True)) == {
            ("1", "11"): True,
            ("11", "1"): True,
            ("it's", "a:b"): False,
        }
        assert set(everything.at) == {NOON.timestamp()}
        assert list(everything.refused) == [("ö", "y")]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group.remove_rows(frame(WRITTEN).head(1)[["user_id", "other_user_id"]], storage="online")
        gone = said(ours, on_their_way.wait_for(len(WRITTEN) + 1)[-1], ingested=True)
        assert gone == Change(pair_text(("1", "11")), Operation.DELETE)
        wait_until(lambda: len(double.labels.store.online) == len(WRITTEN) - 1, 10, "the label to be gone")
        left = read_pairs(store, LABELS, list(WRITTEN), lambda _read: None)
        assert absent(list(WRITTEN), left) == [("1", "11")]
        assert len(read_all(store, LABELS, [("1", "11")], lambda _read: None)) == 2  # the offline copy has it still
