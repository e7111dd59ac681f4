"""The Ray job: the unmodified SDK makes and reads it, and its program runs a request; no real cluster was asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.errors import ConsumerError
from retrainer.setup.made import Made
from retrainer.setup.ray_job import ray_job
from schemas.cycle import CycleResult, Outcome
from schemas.engine import MiningEngine, RayCluster
from stores.hopsworks.session import Session
from tests.hopsworks_double import ClusterSpec, HopsworksDouble
from tests.hopsworks_double.clients.session import session_of
from tests.unit.project.code import ROOT
from tests.worlds import GROUP, first_cycle, trainer_settings


@pytest.fixture
def double(tmp_path: Path) -> Iterator[HopsworksDouble]:
    with HopsworksDouble(tmp_path / "cluster", ClusterSpec(group=GROUP)) as double:
        yield double


@pytest.fixture
def session(double: HopsworksDouble) -> Iterator[Session]:
    with session_of(double) as session:
        yield session


def uploaded(double: HopsworksDouble) -> bytes:
    return double.registry._file_system.files[f"/Projects/{double.project}/Resources/ray_cycle.py"]


def test_the_job_is_made_once_with_its_program_and_what_its_pods_need(
    double: HopsworksDouble, session: Session
) -> None:
    plan = ray_job(session, "retrainer", 3, dry_run=True)
    assert (plan.made, plan.what, double.jobs.made) == (Made.WOULD, "Ray job retrainer with up to 3 workers", {})
    assert ray_job(session, "retrainer", 3, dry_run=False).made is Made.MADE
    config = double.jobs.made["retrainer"]
    assert config["appPath"] == f"hdfs:///Projects/{double.project}/Resources/ray_cycle.py"
    assert config["environmentName"] == "ray-tensorflow-training-pipeline"
    assert (config["workerMinInstances"], config["workerMaxInstances"]) == (1, 3)
    assert uploaded(double) == (ROOT / "retrainer" / "setup" / "ray_cycle.py").read_bytes()

    read = session.project.get_job_api().get_job("retrainer")
    assert (read.name, read.config) == ("retrainer", config)
    double.jobs.made["retrainer"] = {**config, "workerMemory": 16384}  # by its owner
    assert ray_job(session, "retrainer", 5, dry_run=False).made is Made.PRESENT
    assert double.jobs.made["retrainer"]["workerMemory"] == 16384


def test_a_job_of_somebody_else_is_kept(double: HopsworksDouble, session: Session) -> None:
    api = session.project.get_job_api()
    session.ask(
        "make theirs", lambda: api.create_job("t", {**api.get_configuration("RAY"), "appPath": "Resources/t.py"})
    )
    with pytest.raises(ConsumerError, match="another job t, which is kept: give --ray-job another name"):
        ray_job(session, "t", 1, dry_run=False)
    assert double.jobs.made["t"]["appPath"].endswith("/t.py")


@pytest.mark.full
@pytest.mark.timeout(600)
def test_the_program_runs_the_cycle_of_a_request(double: HopsworksDouble, session: Session, tmp_path: Path) -> None:
    """As on the head of a Ray cluster, as far as that is known: the file alone, and the path of a request."""
    ray_job(session, "retrainer", 1, dry_run=False)
    program = tmp_path / "somewhere" / "ray_cycle.py"
    program.parent.mkdir()
    program.write_bytes(uploaded(double))
    settings = trainer_settings(tmp_path).model_copy(
        update={"engine": MiningEngine.RAY, "ray": RayCluster(address="auto")}
    )
    request = first_cycle(settings, tmp_path)
    (tmp_path / "request.json").write_text(request.model_dump_json())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(program), str(tmp_path / "request.json")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    result = CycleResult.model_validate_json((tmp_path / "result.json").read_bytes())
    assert (result.outcome, result.version) == (Outcome.REGISTERED, 1)


def test_without_a_request_the_program_says_what_it_takes() -> None:
    program = ROOT / "retrainer" / "setup" / "ray_cycle.py"
    ended = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the path of a request" in ended.stderr
