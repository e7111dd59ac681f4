"""RonDB's REST server: online rows by key through a feature view, arrays as JSON lists."""

from __future__ import annotations

from typing import Any

from tests.hopsworks_double.cluster import REST_PORT, Cluster
from tests.hopsworks_double.control.feature_views import FeatureViews
from tests.hopsworks_double.https.routing import Router
from tests.hopsworks_double.https.server import ApiCall, HttpsServer, Reply
from tests.hopsworks_double.rows.columns import key_of
from tests.hopsworks_double.rows.held import HeldGroup

PREFIX = "/0.1.0"


class OnlineRest:
    """The REST server. Its errors have a form of their own."""

    def __init__(self, cluster: Cluster, views: FeatureViews) -> None:
        self._cluster = cluster
        self._views = views
        self._router = Router()
        self._router.add("GET", f"{PREFIX}/ping", lambda _: Reply(200, {}))
        self._router.add("POST", f"{PREFIX}/feature_store", self._single)
        self._router.add("POST", f"{PREFIX}/batch_feature_store", self._batch)
        self.server = HttpsServer("rest", (cluster.host, REST_PORT), cluster.tls(), self._answer, cluster.faults)

    def _answer(self, call: ApiCall) -> Reply:
        if call.method == "POST" and call.headers.get("x-api-key") not in self._cluster.api_keys:
            return _error(401, 1, "Unauthorized")
        return self._router(call)

    def _single(self, call: ApiCall) -> Reply:
        asked = call.json()
        return self._vectors(call, asked, [asked["entries"]], batch=False)

    def _batch(self, call: ApiCall) -> Reply:
        asked = call.json()
        return self._vectors(call, asked, asked["entries"], batch=True)

    def _vectors(self, call: ApiCall, asked: dict[str, Any], entries: list[dict[str, Any]], batch: bool) -> Reply:
        columns = self._views.columns(asked["featureViewName"], asked["featureViewVersion"])
        if columns is None or asked["featureStoreName"] != self._cluster.spec.project.lower():
            return _error(400, 2, "Feature store or feature view does not exist.")
        group = self._views.group(asked["featureViewName"], asked["featureViewVersion"])
        if any(key not in entry for entry in entries for key in group.keys):
            return _error(400, 13, "Incorrect primary key name.")
        keys = [key_of(group.group, entry) for entry in entries]
        rows = dict(group.store.online_rows(set(keys)))
        features: list[list[object]] = []
        statuses: list[str] = []
        details: list[list[dict[str, object]]] = []
        for key in keys:
            row = None if key in call.unreadable else rows.get(key)
            status, code = ("COMPLETE", 200) if row is not None else ("MISSING", 404)
            if key in call.unreadable:
                status, code = "ERROR", 500
            cells: dict[str, Any] = {name: group.shown(name, values) for name, values in (row or {}).items()}
            features.append([(group.ends(key) | cells).get(name) for name in columns])
            statuses.append(status)
            details.append([_detail(group, code)])
        answer: dict[str, Any] = {
            "features": features if batch else features[0],
            "metadata": None,
            "status": statuses if batch else statuses[0],
        }
        if (asked.get("options") or {}).get("includeDetailedStatus"):
            answer["detailedStatus"] = details if batch else details[0]
        return Reply(200, answer)


def _detail(group: HeldGroup, code: int) -> dict[str, object]:
    message = "OK" if code == 200 else "Failed to read."
    return {"featureGroupId": group.id, "operationId": f"0|{group.id}", "httpStatus": code, "message": message}


def _error(status: int, code: int, message: str) -> Reply:
    return Reply(status, {"code": code, "message": message, "reason": ""})
