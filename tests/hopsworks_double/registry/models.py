"""The model registry: entries beside the folders of their files, and tags on them."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply
from tests.hopsworks_double.registry.file_system import FileSystem

MODEL_NOT_FOUND = 360000
TAG_SCHEMA_NOT_FOUND = 370000
TAG_NOT_FOUND = 370002
DELETION_FAILED = 110007


class RegistryDouble:
    """The registry of the project. A version is complete when it has both its entry and its files."""

    def __init__(self, cluster: Cluster, control: ControlPlane) -> None:
        self._cluster = cluster
        self._file_system = FileSystem(cluster, control)
        self.models: dict[str, Json] = {}
        """Entries by `<name>_<version>`."""
        self.tags: dict[str, dict[str, Any]] = {}
        """Values of tags by entry and name."""
        self.tag_schemas: set[str] = set()
        """Tags that an administrator has allowed."""
        self.visible_after = 0
        """How many times a new entry is not found yet."""
        self._hidden: dict[str, int] = {}
        add, models = control.router.add, f"{control.project}/modelregistries/{cluster.project_id}/models"
        add("GET", models, self._list)
        add("GET", f"{models}/{{id}}", self._get)
        add("PUT", f"{models}/{{id}}", self._put)
        add("DELETE", f"{models}/{{id}}", self._delete)
        add("GET", f"{models}/{{id}}/tags", self._get_tags)
        add("GET", f"{models}/{{id}}/tags/{{tag}}", self._get_tags)
        add("PUT", f"{models}/{{id}}/tags/{{tag}}", self._put_tag)
        add("DELETE", f"{models}/{{id}}/tags/{{tag}}", self._delete_tag)

    @property
    def dirs(self) -> set[str]:
        """Full paths of all folders of the project."""
        return self._file_system.dirs

    @property
    def files(self) -> dict[str, bytes]:
        """Contents of all files of the project, by full path."""
        return self._file_system.files

    def folder(self, name: str, version: int) -> str:
        """The full path of a version's folder, whether it is there or not."""
        return self._file_system.path(f"Models/{name}/{version}")

    def remove_folder(self, name: str, version: int) -> None:
        """Leave an entry without its files."""
        self._file_system.remove(self.folder(name, version))

    def _found(self, call: ApiCall) -> Json:
        model = self.models.get(call.parts["id"])
        if model is None:
            raise ApiError(404, MODEL_NOT_FOUND, "No model found for provided name and version.")
        return model

    def _get(self, call: ApiCall) -> Reply:
        with self._file_system.lock:
            model = self._found(call)
            if self._hidden.get(model["id"], 0) > 0:
                self._hidden[model["id"]] -= 1
                raise ApiError(404, MODEL_NOT_FOUND, "No model found for provided name and version.")
            return Reply(200, model)

    def _list(self, call: ApiCall) -> Reply:
        with self._file_system.lock:
            models = list(self.models.values())
        for condition in call.query.get("filter_by", []):
            column, _, value = condition.partition(":")
            if column == "name_eq":
                models = [model for model in models if model["name"] == value]
        if call.argument("sort_by"):
            models = _by_metric(models, *call.argument("sort_by").rsplit(":", 1))
        count = len(models)
        offset, limit = int(call.argument("offset", "0")), int(call.argument("limit", str(count)))
        return Reply(200, {"count": count, "items": models[offset : offset + limit]} if count else {"count": 0})

    def _put(self, call: ApiCall) -> Reply:
        given, model_id = call.json(), call.parts["id"]
        tags = _tags(given.get("tags"))
        self._require_schemas(tags)
        model = {
            "id": model_id,
            "name": given["name"],
            "version": given["version"],
            "projectName": self._cluster.spec.project,
            "modelRegistryId": self._cluster.project_id,
            "description": given.get("description"),
            "metrics": given.get("metrics"),
            "framework": given.get("framework"),
            "environment": given.get("environment"),
            "program": given.get("program"),
            "trainingDatasetVersion": given.get("trainingDatasetVersion") or 0,
            "created": int(time.time() * 1000),
            "creator": {"username": "tester"},
            "userFullName": "Tester",
        }
        with self._file_system.lock:
            self.models[model_id] = model
            self.tags[model_id] = tags
            self._hidden[model_id] = self.visible_after
        return Reply(201, model)

    def _delete(self, call: ApiCall) -> Reply:
        with self._file_system.lock:
            model = self.models.get(call.parts["id"])
            if model is None:
                return Reply(204)
            folder = self.folder(model["name"], model["version"])
            if folder not in self.dirs:
                # The real one removes the folder first, and keeps the entry when that fails.
                raise ApiError(500, DELETION_FAILED, "The folder could not be removed.")
            self._file_system.remove(folder)
            del self.models[model["id"]]
            self.tags.pop(model["id"], None)
        return Reply(204)

    def _get_tags(self, call: ApiCall) -> Reply:
        tags, name = self.tags[self._found(call)["id"]], call.parts.get("tag")
        if name is not None:
            tags = {name: self._tag(call)}
        items = [
            {"name": tag, "value": value if isinstance(value, str) else json.dumps(value)}
            for tag, value in tags.items()
        ]
        return Reply(200, {"count": len(items), "items": items} if items else {"count": 0})

    def _put_tag(self, call: ApiCall) -> Reply:
        model, name = self._found(call), call.parts["tag"]
        self._require_schemas([name])
        self.tags[model["id"]][name] = call.json()
        return Reply(201, {"count": 1, "items": [{"name": name, "value": call.body.decode()}]})

    def _delete_tag(self, call: ApiCall) -> Reply:
        self._tag(call)
        del self.tags[call.parts["id"]][call.parts["tag"]]
        return Reply(204)

    def _tag(self, call: ApiCall) -> Any:
        tags = self.tags[self._found(call)["id"]]
        if call.parts["tag"] not in tags:
            raise ApiError(404, TAG_NOT_FOUND, "No tag found for provided name.")
        return tags[call.parts["tag"]]

    def _require_schemas(self, names: Any) -> None:
        if any(name not in self.tag_schemas for name in names):
            raise ApiError(404, TAG_SCHEMA_NOT_FOUND, "No schema found for provided name.")


def _by_metric(models: list[Json], metric: str, direction: str) -> list[Json]:
    """Those that lack the metric come last, whichever the direction."""
    having = [model for model in models if metric in (model["metrics"] or {})]
    lacking = [model for model in models if model not in having]
    return sorted(having, key=lambda model: float(model["metrics"][metric]), reverse=direction == "desc") + lacking


def _tags(given: Any) -> dict[str, Any]:
    items = given if isinstance(given, list) else (given or {}).get("items", [])
    return {tag["name"]: tag["value"] for tag in items}
