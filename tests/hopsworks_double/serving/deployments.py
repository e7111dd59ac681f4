"""Deployments: their versions, which of them is active, and whether its instances become ready.

What the SDK says of a cluster is done here: a save without `newVersion` edits the active version in place, one that
changes nothing does nothing, numbers of versions are never given twice, a rollback copies nothing, and instances that
served go on until those of the next version are ready. That a save by somebody who has read an earlier state is refused
is in the SDK's words; that the answer is 409 is ours.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply

NOT_FOUND, ILLEGAL, DUPLICATE = 240000, 240001, 240011
_OF_A_VERSION = (
    "modelName",
    "modelVersion",
    "modelPath",
    "modelFramework",
    "modelServer",
    "predictor",
    "configFile",
    "predictorEnvVars",
    "predictorResources",
    "predictorScalingConfig",
)


@dataclass
class Held:
    """One deployment."""

    id: int
    config: Json
    """What was last given, and is not part of a version."""
    versions: dict[int, Json]
    active: int
    status: str = "Created"
    serving: int | None = None
    """The model version of the instances that answer; the old one until the new one is ready."""
    looks: int = 0
    """How often somebody has to look until the state changes."""
    created: dict[int, str] = field(default_factory=dict)

    @property
    def model_version(self) -> int:
        """The model version that the active version names."""
        return int(self.versions[self.active]["modelVersion"])


class Deployments:
    """The deployments of the project."""

    def __init__(self, cluster: Cluster, control: ControlPlane) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self.held: dict[str, Held] = {}
        """By name."""
        self.broken: dict[int, Literal["fails", "stalls"]] = {}
        """Versions of the model whose instances fail, or never become ready."""
        self.looks_until_ready = 1
        """How often a state is asked for until new instances are ready."""
        control.variables |= {
            "enable_data_science_profile": "true",
            "kube_kserve_installed": "true",
            "kube_serving_min_num_instances": "1",
            "kube_serving_max_num_instances": "-1",
            "kube_knative_domain_name": "",
        }
        add, root = control.router.add, f"{control.project}/serving"
        add("GET", f"{control.project}/inference/endpoints", lambda _: Reply(200, {"count": 0, "items": []}))
        add("GET", root, self._list)
        add("PUT", root, self._put)
        add("GET", f"{root}/{{id}}", self._get)
        add("POST", f"{root}/{{id}}", self._act)
        add("GET", f"{root}/{{id}}/versions", self._versions)
        add("POST", f"{root}/{{id}}/rollback", self._rollback)

    def _list(self, call: ApiCall) -> Reply:
        with self._lock:
            if name := call.argument("name"):
                if name not in self.held:
                    raise ApiError(404, NOT_FOUND, "Deployment not found.")
                return Reply(200, self._described(self.held[name]))
            items = [self._described(one) for one in self.held.values()]
        return Reply(200, items)

    def _get(self, call: ApiCall) -> Reply:
        with self._lock:
            one = self._found(call)
            self._look(one)
            return Reply(200, self._described(one))

    def _versions(self, call: ApiCall) -> Reply:
        with self._lock:
            one = self._found(call)
            items = [
                {**config, "version": number, "active": number == one.active, "created": one.created[number]}
                for number, config in sorted(one.versions.items(), reverse=True)
            ]
        offset, limit = int(call.argument("offset", "0")), int(call.argument("limit", "100"))
        return Reply(200, {"count": len(items), "items": items[offset : offset + limit]})

    def _put(self, call: ApiCall) -> Reply:
        given: Json = call.json()
        part = {name: given[name] for name in _OF_A_VERSION if given.get(name) is not None}
        with self._lock:
            if given.get("id") is None:
                if given["name"] in self.held:
                    raise ApiError(400, DUPLICATE, "A deployment of this name exists.")
                one = Held(1000 + len(self.held), given, {}, 0)
                self.held[given["name"]] = one
                self._store(one, 1, part)
                return Reply(201, self._described(one))
            one = self._by_id(int(given["id"]))
            if given.get("version") != one.active:
                raise ApiError(409, ILLEGAL, "The deployment was changed by someone else since it was read.")
            one.config = given
            if part != one.versions[one.active]:
                number = max(one.versions) + 1 if call.argument("newVersion") == "true" else one.active
                self._store(one, number, part)
                self._roll_out(one)
            return Reply(200, self._described(one))

    def _rollback(self, call: ApiCall) -> Reply:
        with self._lock:
            one, version = self._found(call), int(call.json()["version"])
            if version not in one.versions:
                raise ApiError(404, ILLEGAL, "The deployment has no such version.")
            if one.status in {"Starting", "Stopping"}:
                raise ApiError(400, ILLEGAL, f"The deployment is {one.status.lower()}.")
            if version != one.active:
                one.active = version
                self._roll_out(one)
            return Reply(200, self._described(one))

    def _act(self, call: ApiCall) -> Reply:
        with self._lock:
            one = self._found(call)
            if call.argument("action").upper() == "START":
                one.status, one.looks = "Starting", self.looks_until_ready
            else:
                one.status, one.serving = "Stopped", None
        return Reply(200, {})

    def _store(self, one: Held, number: int, part: Json) -> None:
        one.versions[number] = part
        one.active = number
        one.created[number] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def _roll_out(self, one: Held) -> None:
        if one.status not in {"Created", "Stopped"}:
            one.status, one.looks = "Updating", self.looks_until_ready

    def _look(self, one: Held) -> None:
        """Somebody asks for the state: after so many looks it has changed."""
        if one.status not in {"Starting", "Updating"}:
            return
        if one.looks > 0:
            one.looks -= 1
            return
        fate = self.broken.get(one.model_version)
        if fate == "fails":
            one.status = "Failed"
        elif fate is None:
            one.status, one.serving = "Running", one.model_version

    def _described(self, one: Held) -> dict[str, Any]:
        of_deployment = {name: value for name, value in one.config.items() if name not in _OF_A_VERSION}
        reason = "predictor container exited with code 1" if one.status == "Failed" else ""
        return {
            **of_deployment,
            **one.versions[one.active],
            "id": one.id,
            "version": one.active,
            "created": one.created[1],
            "creator": "tester",
            "projectNamespace": self._cluster.spec.project,
            "status": one.status,
            "availableInstances": 0 if one.serving is None else 1,
            "condition": {"type": "READY", "status": one.status == "Running", "reason": reason},
        }

    def _found(self, call: ApiCall) -> Held:
        return self._by_id(int(call.parts["id"]))

    def _by_id(self, number: int) -> Held:
        for one in self.held.values():
            if one.id == number:
                return one
        raise ApiError(404, NOT_FOUND, "Deployment not found.")
