"""The groups and their views as the control plane describes them."""

from __future__ import annotations

from typing import Any

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.rows.held import HeldGroup

CREATED = "2026-01-01T00:00:00Z"

Json = dict[str, Any]


def feature_store(cluster: Cluster) -> Json:
    """The project's feature store."""
    return {
        "featurestoreId": cluster.feature_store_id,
        "featurestoreName": cluster.feature_store,
        "created": CREATED,
        "projectName": cluster.spec.project,
        "projectId": cluster.project_id,
        "offlineFeaturestoreName": cluster.feature_store,
        "onlineFeaturestoreName": cluster.spec.project,
        "onlineEnabled": True,
    }


def feature(group: HeldGroup, name: str) -> Json:
    """One column of a group."""
    primary = name in group.keys
    types = {
        "string": ("string", "varchar(100)"),
        "double": ("double", "double"),
        "bigint": ("bigint", "bigint"),
        "timestamp": ("timestamp", "timestamp(3)"),
        "array": (f"array<{group.element}>", "varbinary(2048)"),
    }
    offline, online = types[group.kinds[name]]
    return {
        "name": name,
        "type": offline,
        "onlineType": online,
        "primary": primary,
        "partition": name == group.partition,
        # A HUDI table needs one column to decide between rows of one key.
        "hudiPrecombineKey": name == group.keys[0] and group.time_travel == "HUDI",
        "featureGroupId": group.id,
    }


def feature_group(cluster: Cluster, group: HeldGroup, features: bool = True) -> Json:
    """A group."""
    online_topic = cluster.spec.ingestion_topic if group.online else None
    statistics = {"enabled": False, "histograms": False, "correlations": False, "exactUniqueness": False, "columns": []}
    described = {
        "type": "streamFeatureGroupDTO" if group.online else "cachedFeaturegroupDTO",
        "id": group.id,
        "name": group.group.name,
        "version": group.group.version,
        "featurestoreId": cluster.feature_store_id,
        "featurestoreName": cluster.feature_store,
        "created": CREATED,
        "description": group.description,
        "onlineEnabled": group.online,
        "eventTime": group.event_time,
        "timeTravelFormat": group.time_travel,
        "topicName": online_topic,
        "onlineTopicName": online_topic,
        "notificationTopicName": group.notification_topic,
        "statisticsConfig": statistics,
        "location": f"hopsfs://namenode:8020/apps/hive/warehouse/{cluster.feature_store}.db/{group.table}",
    }
    if group.embedding_index is not None:
        described["embeddingIndex"] = group.embedding_index
    return described | ({"features": [feature(group, name) for name in group.kinds]} if features else {})


def query(cluster: Cluster, group: HeldGroup, columns: list[str]) -> Json:
    """The query over a group that a view is made of."""
    return {
        "leftFeatureGroup": feature_group(cluster, group),
        "leftFeatures": [feature(group, name) for name in columns],
        "featureStoreName": cluster.feature_store,
        "featureStoreId": cluster.feature_store_id,
        "joins": [],
    }


def feature_view(cluster: Cluster, group: HeldGroup, view_id: int, name: str, version: int, columns: list[str]) -> Json:
    """A view of some of a group's columns."""
    described = feature_group(cluster, group, features=False)
    features = [
        {
            "name": column,
            "type": feature(group, column)["type"],
            "index": index,
            "label": False,
            "featureGroupFeatureName": column,
            "inferenceHelperColumn": False,
            "trainingHelperColumn": False,
            "featuregroup": described,
        }
        for index, column in enumerate(columns)
    ]
    serving_keys = [
        {
            "featureName": key,
            "prefix": None,
            "required": True,
            "joinIndex": 0,
            "joinOn": None,
            "featureGroup": described,
        }
        for key in group.keys
    ]
    return {
        "name": name,
        "id": view_id,
        "version": version,
        "featurestoreId": cluster.feature_store_id,
        "featurestoreName": cluster.feature_store,
        "description": "",
        "features": features,
        "query": query(cluster, group, columns),
        "loggingEnabled": False,
        "servingKeys": serving_keys,
    }


def lineage(cluster: Cluster, group: HeldGroup, view: Json) -> Json:
    """Where a view comes from; the SDK fails without the accessible parent group."""
    parent = {
        "artifactType": "FEATURE_GROUP",
        "accessible": True,
        "deleted": False,
        "artifact": feature_group(cluster, group),
    }
    own = {"id": view["id"], "project": cluster.spec.project, "name": view["name"], "version": view["version"]}
    return {
        "node": {"artifactType": "FEATURE_VIEW", "accessible": True, "deleted": False, "artifact": own},
        "upstream": [{"node": parent, "upstream": [], "downstream": []}],
        "downstream": [],
    }


def listing(items: list[Json]) -> Json:
    """A list of items, as most of the control plane's lists look."""
    return {"count": len(items), "items": items}
