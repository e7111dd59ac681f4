"""The champion in a deployment of a cluster: the unmodified SDK on the double, which says when instances are ready."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consumer.database.tables import promotions
from consumer.deployment.champion_follower import ChampionFollower
from consumer.followers import followers_of
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.settings import load_settings
from schemas.cycle import TrainerSettings
from schemas.hopsworks import HopsworksDeployment as DeploymentSettings
from schemas.hopsworks import HopsworksRegistry
from stores import deployment as deploying
from stores.deployment import NotReady, Patience, Standing, deploy
from stores.errors import ClusterError, RegistryError, StoreError
from stores.hopsworks.deployments import HopsworksDeployment
from stores.hopsworks.session import Session
from stores.registry.hopsworks.naming import describe
from tests.hopsworks_double import Call, HopsworksDouble, LoseReply, Status
from tests.hopsworks_double.clients.registries import MODEL, fail, put_upload, registry_at, running_double
from tests.hopsworks_double.clients.session import cluster_of, session_of
from tests.models.export.registered import a_model, manifest_of
from tests.waiting import wait_until
from trainer.package import stage

pytestmark = pytest.mark.full

NAME = "recommender"


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 to 3 as they are registered where a deployment is set, and version 4 as where none is."""
    folder, model = tmp_path_factory.mktemp("staged"), a_model()
    for version in (1, 2, 3, 4):
        stage(folder / str(version), model, manifest_of(f"c{version:06}-00000000"), {}, served=version != 4)
    return folder


@pytest.fixture
def double(tmp_path: Path, staged: Path) -> Iterator[HopsworksDouble]:
    with running_double(tmp_path / "double") as running:
        for version in (1, 2, 3, 4):
            manifest = manifest_of(f"c{version:06}-00000000")
            put_upload(running, version, staged / str(version), description=describe(manifest))
            running.registry.models[f"{MODEL}_{version}"]["framework"] = "TENSORFLOW"
        yield running


@pytest.fixture
def session(double: HopsworksDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(deploying, "LOOK_EVERY", 0.01)
    with session_of(double, retry_for=0.5) as session:
        yield session


def bring(session: Session, tmp_path: Path, version: int, within: float = 20.0) -> Standing:
    entry = registry_at(session, tmp_path / "cache").deployable(version)
    return deploy(HopsworksDeployment(session, NAME, entry), version, Patience(within))


def serving(double: HopsworksDouble) -> tuple[int, int | None, dict[int, int]]:
    """The active version of the deployment, the model's version that answers, and all versions."""
    held = double.deployments.held[NAME]
    return held.active, held.serving, {number: one["modelVersion"] for number, one in held.versions.items()}


def test_versions_come_and_a_rollback_each_as_a_new_version_of_the_deployment(
    double: HopsworksDouble, session: Session, tmp_path: Path
) -> None:
    assert bring(session, tmp_path, 1) == Standing(1, 1, "ready")
    assert bring(session, tmp_path, 2) == Standing(2, 2, "ready")
    before = len(double.requests)
    assert bring(session, tmp_path, 2) == Standing(2, 2, "ready")
    assert {request.method for request in double.requests[before:]} == {"GET"}
    assert bring(session, tmp_path, 1) == Standing(3, 1, "ready")
    assert serving(double) == (3, 1, {1: 1, 2: 2, 3: 1})


@pytest.mark.parametrize(
    ("fate", "why"), [("fails", "predictor container exited with code 1"), ("stalls", "not ready within 1 s")]
)
def test_a_version_that_does_not_become_ready_is_taken_back_and_the_one_before_goes_on_answering(
    double: HopsworksDouble, session: Session, tmp_path: Path, fate: str, why: str
) -> None:
    bring(session, tmp_path, 1)
    double.deployments.broken[2] = "fails" if fate == "fails" else "stalls"
    with pytest.raises(NotReady, match=f"version 2 is taken back.*{why}.* serves version 1 again, by its version 1"):
        bring(session, tmp_path, 2, within=1.0)
    assert serving(double) == (1, 1, {1: 1, 2: 2})
    assert bring(session, tmp_path, 3) == Standing(3, 3, "ready")  # the next champion comes all the same


def test_an_answer_that_is_lost_is_made_good_by_the_next_look(
    double: HopsworksDouble, session: Session, tmp_path: Path
) -> None:
    bring(session, tmp_path, 1)
    fail(double, r"PUT /project/\d+/serving\?newVersion", LoseReply())
    with pytest.raises(ClusterError, match="save a new version of the deployment recommender"):
        bring(session, tmp_path, 2)
    assert bring(session, tmp_path, 2) == Standing(2, 2, "ready")
    assert serving(double) == (2, 2, {1: 1, 2: 2})


def test_a_cluster_that_is_busy_is_asked_again_while_instances_start(
    double: HopsworksDouble, session: Session, tmp_path: Path
) -> None:
    bring(session, tmp_path, 1)
    fail(double, r"GET /project/\d+/serving", Status(503), times=2, skip=7)
    assert bring(session, tmp_path, 2) == Standing(2, 2, "ready")


def test_what_somebody_else_has_changed_since_it_was_read_is_not_overwritten(
    double: HopsworksDouble, session: Session, tmp_path: Path
) -> None:
    bring(session, tmp_path, 1)
    bring(session, tmp_path, 2)
    entry = registry_at(session, tmp_path / "cache").deployable(3)
    found = session.project.get_model_serving().get_deployment(NAME)
    other = HopsworksDeployment(session, NAME, entry)
    other.activate(1)
    wait_until(lambda: other.look() == Standing(1, 1, "ready"), 20, "the end of the rollback")
    found.model_version = 3
    with pytest.raises(ClusterError, match="HTTP 409"):
        session.once("save", lambda: found.save(await_update=0, new_version=True))


def test_a_version_without_a_saved_model_and_a_deployment_of_another_model_are_refused(
    double: HopsworksDouble, session: Session, tmp_path: Path
) -> None:
    with pytest.raises(RegistryError, match=r"version 4 .* has no SavedModel"):
        bring(session, tmp_path, 4)
    bring(session, tmp_path, 1)
    double.deployments.held[NAME].versions[1]["modelName"] = "fraud"
    with pytest.raises(StoreError, match="serves fraud, and not two_tower_recommender"):
        bring(session, tmp_path, 2)


def asked(double: HopsworksDouble, tmp_path: Path, version: int) -> subprocess.Popen[str]:
    """The process that the consumer starts, given its settings."""
    settings = TrainerSettings.model_validate(
        {
            "feature_group": double.cluster.spec.group,
            "hopsworks": cluster_of(double),
            "feature_store": {"kind": "hopsworks"},
            "model_registry": HopsworksRegistry(),
            "deployment": DeploymentSettings(name=NAME, ready_within=60.0),
            "work_dir": tmp_path / "work",
        }
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "stores", "deploy", str(version)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(settings.model_dump_json())
    process.stdin.close()
    return process


def answer(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    with process.stdout as out:
        found: dict[str, object] = json.loads(out.read())
    process.wait()
    return found


def test_a_process_that_is_killed_between_saving_and_becoming_ready_is_taken_up_by_the_next(
    double: HopsworksDouble, tmp_path: Path
) -> None:
    assert answer(asked(double, tmp_path, 1)) == {
        "deployed": {"version": 1, "model_version": 1, "state": "ready", "reason": ""}
    }
    double.deployments.broken[2] = "stalls"
    killed = asked(double, tmp_path, 2)
    # After the save the process looks for the first time.
    saved = fail(double, r"PUT /project/\d+/serving\?newVersion", Call(lambda: None))

    def end() -> None:
        if saved.hits:
            os.kill(killed.pid, signal.SIGKILL)

    fail(double, r"GET /project/\d+/serving/\d+$", Call(end), times=None)
    assert killed.wait(60) == -signal.SIGKILL
    double.faults.clear()
    assert serving(double) == (2, 1, {1: 1, 2: 2})  # half done: the old instances still answer
    del double.deployments.broken[2]
    assert answer(asked(double, tmp_path, 2)) == {
        "deployed": {"version": 2, "model_version": 2, "state": "ready", "reason": ""}
    }
    assert serving(double) == (2, 2, {1: 1, 2: 2})


def promote(ledger: Ledger, version: int) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=version, at=1.0, reason="the test says so"))


def test_the_service_deploys_each_champion_and_says_what_was_taken_back(
    double: HopsworksDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {
        "RETRAINER_STATE_DIR": str(tmp_path / "state"),
        "RETRAINER_DEPLOYMENT__NAME": NAME,
        "RETRAINER_DEPLOYMENT__READY_WITHIN": "12",
        **double.environment(),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    double.deployments.broken[2] = "fails"
    with closing(open_ledger(settings.ledger.url)) as ledger:
        follower = next(one for one in followers_of(settings, ledger) if isinstance(one, ChampionFollower))
        promote(ledger, 1)
        follower.start()
        try:
            served = "recommender serves version 1, by its version 1"
            wait_until(lambda: follower.words == served, 60, "the deployment of version 1")
            promote(ledger, 2)
            wait_until(lambda: "version 2 is taken back" in follower.words, 60, "the way back from version 2")
            assert serving(double) == (1, 1, {1: 1, 2: 2})
            promote(ledger, 3)
            served = "recommender serves version 3, by its version 3"
            wait_until(lambda: follower.words == served, 60, "the deployment of version 3")
        finally:
            follower.stop()
