"""The job that runs a trainer on the Ray cluster of Hopsworks (KubeRay): its program, and what its pods get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumer.errors import ConsumerError
from retrainer.setup.made import Made, Step

if TYPE_CHECKING:
    from stores.hopsworks.session import Session

PROGRAM = Path(__file__).with_name("ray_cycle.py")
_FOLDER = "Resources"
_KIND = "rayJobConfiguration"
_PODS = {
    "environmentName": "ray-tensorflow-training-pipeline",
    "driverCores": 2.0,
    "driverMemory": 8192,  # MB: the trainer runs there, with the vectors of everybody
    "workerCores": 2.0,
    "workerMemory": 4096,
    "workerMinInstances": 1,
}
"""What the job is made with; a job that is there may have been given more since, and keeps that."""


def ray_job(session: Session, name: str, workers: int, *, dry_run: bool) -> Step:
    """Make the job, unless it is there.

    Args:
        session: with the cluster.
        name: of the job.
        workers: pods of Ray beside the head, at most.
        dry_run: say what would be made.

    Raises:
        ConsumerError: the name is taken by a job of another kind, or the cluster does not offer Ray.
        StoreError: the cluster fails.
    """
    api, what = session.project.get_job_api(), f"Ray job {name} with up to {workers} workers"
    found = session.ask(f"look for job {name}", lambda: api.get_job(name))
    if found is not None:
        if not _runs_the_program(found.config):
            raise ConsumerError(f"the project has another job {name}, which is kept: give --ray-job another name")
        return Step(Made.PRESENT, f"Ray job {name}")
    if dry_run:
        return Step(Made.WOULD, what)
    standard = session.ask("ask what a Ray job is made of", lambda: api.get_configuration("RAY"))
    if standard.get("type") != _KIND:
        raise ConsumerError("this cluster offers no Ray jobs: its administrator enables them (global.ray.enabled)")
    files = session.project.get_dataset_api()
    there = session.ask("upload the program", lambda: files.upload(str(PROGRAM), _FOLDER, overwrite=True))
    wanted = {**standard, **_PODS, "appPath": there, "workerMaxInstances": workers}
    session.ask(f"make job {name}", lambda: api.create_job(name, wanted))
    return Step(Made.MADE, what)


def _runs_the_program(config: Mapping[str, Any]) -> bool:
    return config.get("type") == _KIND and str(config.get("appPath")).endswith(f"/{_FOLDER}/{PROGRAM.name}")
