"""Whatever shape a cluster gives its notifications, they say who changed. What is unknown of real ones is tried all."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from consumer.decoding import decoder
from schemas.events import Change, Operation
from schemas.features import FeatureGroup
from tests.hopsworks_double import ClusterSpec, Variants
from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.kafka.events import messages
from tests.tls.certificates import Pki
from tests.worlds import GROUP, World

UNKNOWN: dict[str, tuple[Any, ...]] = {
    "arrays_in_entry": ("text", "list", "absent"),
    "event_shape": ("new", "old"),
    "delete_events": ("none", "event", "header", "tombstone"),
    "keyed": (True, False),
    "duplicates": (True, False),
}
EVERY = [Variants(**dict(zip(UNKNOWN, chosen, strict=True))) for chosen in product(*UNKNOWN.values())]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"), ["localhost"], "somebody")


def test_every_shape_says_who_changed(pki: Pki) -> None:
    row = World().row()
    for variants in EVERY:
        cluster = Cluster(spec=ClusterSpec(group=GROUP, variants=variants), kafka=None, host="localhost", pki=pki)
        ours = GROUP.model_copy(update={"id": cluster.feature_group_id, "feature_store_id": cluster.feature_store_id})
        decode = decoder("notification", ours)
        values = {name: block.tolist() for name, block in row.items()}
        upserts = messages(cluster, [], "spotify:user:1", values)
        assert len(upserts) == (2 if variants.duplicates else 1)
        for message in upserts:
            assert decode(message.key, message.value, message.headers) == Change("spotify:user:1", Operation.UPSERT)
        for message in messages(cluster, [], "spotify:user:1", None):
            said = decode(message.key, message.value, message.headers)
            # Where a delete looks like an upsert, the re-read finds out.
            marked = variants.delete_events in {"header", "tombstone"}
            assert said == Change("spotify:user:1", Operation.DELETE if marked else Operation.UPSERT)


def test_notifications_of_another_group_are_ignored_in_every_shape(pki: Pki) -> None:
    other = FeatureGroup(**{**GROUP.model_dump(), "id": 1, "feature_store_id": 2})
    for variants in EVERY:
        cluster = Cluster(spec=ClusterSpec(group=GROUP, variants=variants), kafka=None, host="localhost", pki=pki)
        for message in messages(cluster, [], "u1", {column.name: [1.0] for column in GROUP.columns}):
            assert not isinstance(decoder("notification", other)(message.key, message.value, message.headers), Change)
