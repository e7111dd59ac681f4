"""The feature group and its views as the control plane describes them."""

from __future__ import annotations

from typing import Any

from tests.hopsworks.cluster import Cluster

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


def feature(cluster: Cluster, name: str) -> Json:
    """One column of the group."""
    primary = name == cluster.spec.group.primary_key
    kinds = {
        cluster.spec.group.primary_key: ("string", "varchar(100)"),
        cluster.spec.event_time: ("timestamp", "timestamp"),
        cluster.spec.partition: ("string", "varchar(100)"),
    }
    offline, online = kinds.get(name, (f"array<{cluster.spec.element}>", "varbinary(2048)"))
    return {
        "name": name,
        "type": offline,
        "onlineType": online,
        "primary": primary,
        "partition": name == cluster.spec.partition,
        # A HUDI table needs one column to decide between rows of one key.
        "hudiPrecombineKey": primary and cluster.spec.time_travel == "HUDI",
        "featureGroupId": cluster.feature_group_id,
    }


def feature_group(cluster: Cluster, features: bool = True) -> Json:
    """The group."""
    spec = cluster.spec
    online_topic = spec.ingestion_topic if spec.online else None
    statistics = {"enabled": False, "histograms": False, "correlations": False, "exactUniqueness": False, "columns": []}
    described = {
        "type": "streamFeatureGroupDTO" if spec.online else "cachedFeaturegroupDTO",
        "id": cluster.feature_group_id,
        "name": spec.group.name,
        "version": spec.group.version,
        "featurestoreId": cluster.feature_store_id,
        "featurestoreName": cluster.feature_store,
        "created": CREATED,
        "description": "",
        "onlineEnabled": spec.online,
        "eventTime": spec.event_time,
        "timeTravelFormat": spec.time_travel,
        "topicName": online_topic,
        "onlineTopicName": online_topic,
        "notificationTopicName": cluster.notification_topic,
        "statisticsConfig": statistics,
        "location": f"hopsfs://namenode:8020/apps/hive/warehouse/{cluster.feature_store}.db/{cluster.table}",
    }
    return described | ({"features": [feature(cluster, name) for name in cluster.features]} if features else {})


def query(cluster: Cluster, columns: list[str]) -> Json:
    """The query over the group that a view is made of."""
    return {
        "leftFeatureGroup": feature_group(cluster),
        "leftFeatures": [feature(cluster, name) for name in columns],
        "featureStoreName": cluster.feature_store,
        "featureStoreId": cluster.feature_store_id,
        "joins": [],
    }


def feature_view(cluster: Cluster, view_id: int, name: str, version: int, columns: list[str]) -> Json:
    """A view of some of the group's columns."""
    group = feature_group(cluster, features=False)
    features = [
        {
            "name": column,
            "type": feature(cluster, column)["type"],
            "index": index,
            "label": False,
            "featureGroupFeatureName": column,
            "inferenceHelperColumn": False,
            "trainingHelperColumn": False,
            "featuregroup": group,
        }
        for index, column in enumerate(columns)
    ]
    serving_key = {
        "featureName": cluster.spec.group.primary_key,
        "prefix": None,
        "required": True,
        "joinIndex": 0,
        "joinOn": None,
        "featureGroup": group,
    }
    return {
        "name": name,
        "id": view_id,
        "version": version,
        "featurestoreId": cluster.feature_store_id,
        "featurestoreName": cluster.feature_store,
        "description": "",
        "features": features,
        "query": query(cluster, columns),
        "loggingEnabled": False,
        "servingKeys": [serving_key],
    }


def lineage(cluster: Cluster, view: Json) -> Json:
    """Where a view comes from; the SDK fails without the accessible parent group."""
    parent = {
        "artifactType": "FEATURE_GROUP",
        "accessible": True,
        "deleted": False,
        "artifact": feature_group(cluster),
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
