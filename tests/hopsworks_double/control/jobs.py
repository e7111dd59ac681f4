"""Jobs that a client makes: kept and described, and never run, as the double has no Ray and no Kubernetes."""

from __future__ import annotations

from tests.hopsworks_double.control.metadata import CREATED, Json
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply

_RAY: Json = {
    "type": "rayJobConfiguration",
    "appPath": None,
    "defaultArgs": None,
    "environmentName": "pandas-training-pipeline",
    "driverCores": 1.0,
    "driverMemory": 2048,
    "driverGpus": 0,
    "workerCores": 1.0,
    "workerMemory": 4096,
    "workerGpus": 0,
    "workerMinInstances": 1,
    "workerMaxInstances": 1,
    "jobType": "RAY",
    "files": None,
}
"""The fields and defaults that Hopsworks' public page about Ray jobs lists."""


class Jobs:
    """The configurations of the jobs that were made, by name."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self.made: dict[str, Json] = {}
        jobs = f"{control.project}/jobs"
        control.router.add("GET", f"{jobs}/ray/configuration", lambda _: Reply(200, dict(_RAY)))
        control.router.add("PUT", f"{jobs}/{{name}}", self._make)

    def _make(self, call: ApiCall) -> Reply:
        name, config = call.parts["name"], call.json()
        if unknown := set(config) - set(_RAY):
            raise ApiError(400, 130001, f"the double has no job with {sorted(unknown)}")
        if name not in self.made:
            path = f"{self._control.project}/jobs/{name}"
            self._control.router.add("GET", path, lambda _: Reply(200, self._described(name)), first=True)
            self._control.router.add("POST", f"{path}/executions", _never, first=True)
        self.made[name] = config
        return Reply(201, self._described(name))

    def _described(self, name: str) -> Json:
        config = dict(self.made[name])
        about = {"id": 100 + list(self.made).index(name), "name": name, "creationTime": CREATED, "creator": {}}
        return {**about, "config": config, "jobType": config["jobType"]}


def _never(_: ApiCall) -> Reply:
    raise ApiError(400, 130010, "the double runs no jobs")
