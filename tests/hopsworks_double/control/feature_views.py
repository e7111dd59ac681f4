"""Feature views: through which rows are read by key."""

from __future__ import annotations

import itertools

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control import metadata
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply
from tests.hopsworks_double.rows.held import HeldGroup

VIEW_NOT_FOUND = 270181
VIEW_EXISTS = 270189
DATA_NOT_FOUND = 270012


class FeatureViews:
    """The views over the groups, by name and version; each has some of the columns of one."""

    def __init__(self, cluster: Cluster, control: ControlPlane) -> None:
        self._cluster = cluster
        self._ids = itertools.count(9)
        self._views: dict[tuple[str, int], Json] = {}
        self._groups: dict[tuple[str, int], HeldGroup] = {}
        self.training_data: dict[tuple[str, int], list[Json]] = {}
        """Training datasets by view, the first first; their rows are with the query service."""
        if cluster.spec.feature_view:
            for group in cluster.groups:
                self._make(f"{group.group.name}_retrainer", 1, group, group.columns)
        add, views = control.router.add, f"{control.store}/featureview"
        view = f"{views}/{{name}}/version/{{version}}"
        add("POST", views, self._create)
        add("GET", f"{views}/{{name}}", self._versions)
        add("GET", view, lambda call: Reply(200, self._found(call)))
        add("DELETE", view, self._delete)
        add("GET", f"{view}/query", lambda call: Reply(200, self._found(call)["query"]))
        add("GET", f"{view}/query/batch", lambda call: Reply(200, self._found(call)["query"]))
        add("GET", f"{view}/preparedstatement", self._statements)
        data = f"{view}/trainingdatasets"
        add("POST", data, self._make_data)
        add("GET", data, lambda call: Reply(200, metadata.listing(self._data_of(call))))
        add("GET", f"{data}/version/{{data}}", self._one_data)
        add("GET", f"{view}/provenance/links", lambda call: Reply(200, self._lineage(call)))
        add("GET", f"{view}/transformation/functions", lambda _: Reply(200, metadata.listing([])))

    def columns(self, name: str, version: int) -> list[str] | None:
        """The columns of a view in its order; None if there is no such view."""
        view = self._views.get((name, version))
        return None if view is None else [feature["name"] for feature in view["features"]]

    def group(self, name: str, version: int) -> HeldGroup:
        """Whose columns a view has."""
        return self._groups[name, version]

    def all(self) -> list[Json]:
        """Every view there is."""
        return list(self._views.values())

    def _make(self, name: str, version: int, group: HeldGroup, columns: list[str]) -> Json:
        view = metadata.feature_view(self._cluster, group, next(self._ids), name, version, columns)
        self._views[name, version], self._groups[name, version] = view, group
        return view

    def _found(self, call: ApiCall) -> Json:
        view = self._views.get((call.parts["name"], int(call.parts["version"])))
        if view is None:
            raise ApiError(404, VIEW_NOT_FOUND, "Feature view wasn't found.")
        return view

    def _versions(self, call: ApiCall) -> Reply:
        views = [view for (name, _), view in self._views.items() if name == call.parts["name"]]
        if not views:
            raise ApiError(404, VIEW_NOT_FOUND, "Feature view wasn't found.")
        return Reply(200, metadata.listing(views))

    def _create(self, call: ApiCall) -> Reply:
        asked = call.json()
        name = asked["name"]
        newest = max((version for known, version in self._views if known == name), default=0)
        version = asked.get("version") or newest + 1
        if (name, version) in self._views:
            raise ApiError(400, VIEW_EXISTS, "The feature view you want to create already exists.")
        columns = [feature["name"] for feature in asked["query"]["leftFeatures"]]
        group = self._cluster.held(asked["query"]["leftFeatureGroup"]["id"])
        return Reply(201, self._make(name, version, group, columns))

    def _lineage(self, call: ApiCall) -> Json:
        view = self._found(call)
        return metadata.lineage(self._cluster, self.group(view["name"], view["version"]), view)

    def _delete(self, call: ApiCall) -> Reply:
        view = self._found(call)
        del self._views[view["name"], view["version"]]
        return Reply(200)

    def _data_of(self, call: ApiCall) -> list[Json]:
        view = self._found(call)
        return self.training_data.setdefault((view["name"], view["version"]), [])

    def _one_data(self, call: ApiCall) -> Reply:
        for one in self._data_of(call):
            if one["version"] == int(call.parts["data"]):
                return Reply(200, one)
        raise ApiError(404, DATA_NOT_FOUND, "Training dataset wasn't found.")

    def _make_data(self, call: ApiCall) -> Reply:
        known, asked = self._data_of(call), call.json()
        made = {
            "type": "trainingDatasetDTO",
            "id": 100 + len(known),
            "name": asked["name"],
            "version": len(known) + 1,
            "description": asked.get("description"),
            "dataFormat": asked["dataFormat"],
            "coalesce": False,
            "featurestoreId": self._cluster.feature_store_id,
            "created": metadata.CREATED,
            "features": [],
            "splits": [],
            "statisticsConfig": {"enabled": True, "columns": []},
            "trainingDatasetType": asked["trainingDatasetType"],
            "location": f"/Projects/{self._cluster.spec.project}/{asked['name']}_{len(known) + 1}",
        }
        known.append(made)
        return Reply(201, made)

    def _statements(self, call: ApiCall) -> Reply:
        view = self._found(call)
        group = self.group(view["name"], view["version"])
        columns = ", ".join(f"`fg0`.`{feature['name']}` AS `{feature['name']}`" for feature in view["features"])
        sought = "IN ?" if call.argument("batch").lower() == "true" else "= ?"
        source = f"`{self._cluster.spec.project}`.`{group.table}` AS `fg0`"
        where = " AND ".join(f"`fg0`.`{key}` {sought}" for key in group.keys)
        statement = {
            "featureGroupId": group.id,
            "preparedStatementIndex": 0,
            "preparedStatementParameters": [{"name": key, "index": at} for at, key in enumerate(group.keys, start=1)],
            "queryOnline": f"SELECT {columns}\nFROM {source}\nWHERE {where}",
        }
        return Reply(200, metadata.listing([statement]))
