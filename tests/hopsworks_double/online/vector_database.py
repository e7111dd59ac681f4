"""The vector database behind embedding indices: OpenSearch, as far as the SDK's `find_neighbors` asks it.

It searches exactly, where a real one searches approximately. Scores are those of OpenSearch's cosine: (1 + cosine) / 2.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from tests.hopsworks_double.cluster import OPENSEARCH_PORT, Cluster
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.routing import Router
from tests.hopsworks_double.https.server import ApiCall, ApiError, HttpsServer, Reply
from tests.hopsworks_double.rows.held import HeldGroup

TOKEN = "Bearer of-the-double"  # noqa: S105
CONNECTOR_NOT_FOUND = 270042


class VectorDatabase:
    """Its server, and the way there, which the control plane tells."""

    def __init__(self, cluster: Cluster, control: ControlPlane) -> None:
        self._cluster = cluster
        self._router = Router()
        self._router.add("GET", "/{index}/_mapping/field/{field}", _mapping)
        self._router.add("POST", "/{index}/_search", self._search)
        self.server = HttpsServer(
            "opensearch", (cluster.host, OPENSEARCH_PORT), cluster.tls(), self._answer, cluster.faults
        )
        control.variables["loadbalancer_external_domain_opensearch"] = cluster.host
        control.router.add("GET", f"/elastic/jwt/{cluster.project_id}", lambda _: Reply(200, {"token": TOKEN}))
        control.router.add("GET", f"{control.store}/storageconnectors/opensearch_connector", _no_connector)

    def _answer(self, call: ApiCall) -> Reply:
        if call.headers.get("authorization") != TOKEN:
            return Reply(401, {"error": {"type": "security_exception", "reason": "no token"}, "status": 401})
        return self._router(call)

    def _search(self, call: ApiCall) -> Reply:
        asked = call.json()
        ((field, knn),) = asked["query"]["knn"].items()
        group, column = self._indexed(call.parts["index"], field)
        rows = [(key, row) for key, row in group.store.online_rows() if row.get(column) is not None]
        if not rows:
            return Reply(200, {"hits": {"hits": []}})
        held = np.stack([np.asarray(row[column], np.float64) for _, row in rows])
        query = np.asarray(knn["vector"], np.float64)
        lengths = np.linalg.norm(held, axis=1) * np.linalg.norm(query)
        scores = (1 + held @ query / np.maximum(lengths, 1e-12)) / 2
        best = np.argsort(-scores, kind="stable")[: knn["k"]].tolist()
        hits = [
            {"_score": float(scores[at]), "_source": self._source(group, rows[at], asked["_source"])} for at in best
        ]
        return Reply(200, {"hits": {"hits": hits}})

    def _indexed(self, index: str, field: str) -> tuple[HeldGroup, str]:
        for group in self._cluster.groups:
            if (described := group.embedding_index) is None or described["indexName"] != index:
                continue
            prefix = described["colPrefix"]
            if field in {prefix + one["name"] for one in described["features"]}:
                return group, field.removeprefix(prefix)
        raise ApiError(404, None, f"no such index [{index}]")

    def _source(self, group: HeldGroup, row: tuple[str, Any], wanted: list[str]) -> Json:
        assert group.embedding_index is not None
        prefix = group.embedding_index["colPrefix"]
        indexed = {one["name"] for one in group.embedding_index["features"]}
        key, cells = row
        shown: Json = dict(group.ends(key))
        for name, values in cells.items():
            if group.kinds[name] == "array" and name not in indexed:  # as Avro, in Base64
                shown[name] = base64.b64encode(group.codec.cell(values) or b"").decode()
            else:
                shown[name] = group.shown(name, values)
        return {prefix + name: value for name, value in shown.items() if prefix + name in wanted}


def _mapping(call: ApiCall) -> Reply:
    field = call.parts["field"]
    method = {"name": "hnsw", "engine": "faiss", "space_type": "cosinesimil"}
    inner = {"type": "knn_vector", "method": method}
    return Reply(200, {call.parts["index"]: {"mappings": {field: {"full_name": field, "mapping": {field: inner}}}}})


def _no_connector(_: ApiCall) -> Reply:
    raise ApiError(404, CONNECTOR_NOT_FOUND, "Storage connector wasn't found.")
