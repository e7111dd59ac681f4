"""The control plane's records of ingestions into the online store, and of the job that fills the offline store."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control.metadata import CREATED, Json, listing
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply
from tests.hopsworks_double.rows.held import HeldGroup

JOB_NOT_FOUND = 130009


class Ingestions:
    """What each insert announced, and how many of its rows the ingestion service is through with."""

    def __init__(self, cluster: Cluster, control: ControlPlane) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._announced: list[int | None] = []
        self._groups: list[HeldGroup] = []
        self._rows: list[dict[str, int]] = []
        self.job_runs = 0
        """How often the materialization job was run."""
        self._control = control
        for group in cluster.groups:
            self.serve(group)
        job = f"{control.project}/jobs/{{name}}"
        control.router.add("GET", job, self._job)
        control.router.add("GET", f"{job}/executions", lambda _: Reply(200, listing([])))
        control.router.add("POST", f"{job}/executions", self._run_job)

    def serve(self, group: HeldGroup) -> None:
        """Take ingestions of a group."""
        path = f"{self._control.store}/featuregroups/{group.id}/online_ingestion"
        self._control.router.add("POST", path, partial(self._announce, group), first=True)
        self._control.router.add("GET", path, partial(self._get, group), first=True)

    def count(self, ingestion: int, status: str) -> None:
        """One more row of an ingestion is UPSERTED, DELETED, or FAILED."""
        with self._lock:
            if 1 <= ingestion <= len(self._rows):
                rows = self._rows[ingestion - 1]
                rows[status] = rows.get(status, 0) + 1

    def announce(self, entries: int | None, group: HeldGroup | None = None) -> int:
        """A new ingestion, of the users' group where none is given; gives its id."""
        with self._lock:
            self._announced.append(entries)
            self._groups.append(group or self._cluster.users)
            self._rows.append({})
            return len(self._rows)

    def rows(self, ingestion: int) -> Mapping[str, int]:
        """Rows of an ingestion by status."""
        with self._lock:
            return dict(self._rows[ingestion - 1])

    def _announce(self, group: HeldGroup, call: ApiCall) -> Reply:
        entries = call.json().get("numEntries")
        return Reply(201, {"id": self.announce(entries, group), "numEntries": entries})

    def _get(self, group: HeldGroup, call: ApiCall) -> Reply:
        kind, _, number = call.argument("filter_by", "LATEST").partition(":")
        with self._lock:
            own = [at for at, one in enumerate(self._groups, start=1) if one is group]
            wanted = int(number) if kind == "ID" else max(own, default=0)
            known = wanted in own
            return Reply(200, listing([self._described(wanted)] if known else []))

    def _described(self, ingestion: int) -> Json:
        results = [
            {"onlineIngestionId": ingestion, "status": status, "rows": count}
            for status, count in self._rows[ingestion - 1].items()
        ]
        return {"id": ingestion, "numEntries": self._announced[ingestion - 1], "results": results}

    def _job(self, call: ApiCall) -> Reply:
        name = call.parts["name"]
        if name not in {f"{group.table}_offline_fg_materialization" for group in self._cluster.groups}:
            raise ApiError(404, JOB_NOT_FOUND, "Job not found.")
        return Reply(
            200,
            {
                "id": 5,
                "name": name,
                "creationTime": CREATED,
                "config": {"defaultArgs": "-op offline_fg_materialization"},
                "jobType": "SPARK",
                "creator": {},
            },
        )

    def _run_job(self, call: ApiCall) -> Reply:
        self._job(call)
        for group in self._cluster.groups:
            if call.parts["name"] == f"{group.table}_offline_fg_materialization":
                group.store.materialize()
        self.job_runs += 1
        execution = {"id": self.job_runs, "state": "FINISHED", "finalStatus": "SUCCEEDED", "submissionTime": CREATED}
        rest = {"args": "", "progress": 1, "duration": 0, "hdfsUser": "tester", "stdoutPath": "", "stderrPath": ""}
        return Reply(201, execution | rest)
