"""Bringing a version into a deployment: always a new version of it, waited for, taken back, taken up after a crash."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stores.deployment import Deployment, NotReady, Patience, Standing, State, deploy
from stores.errors import StoreError


class Cluster:
    """A deployment in memory whose time passes while somebody waits; `broken` versions of the model never get ready."""

    def __init__(self, *models: int, broken: tuple[int, ...] = (), fails: bool = False) -> None:
        self.models = list(models)
        """The model's version by the deployment's, counted from one."""
        self.active = len(models)
        self.state: State = "ready"
        self.broken = broken
        self.fails = fails
        self.done: list[str] = []
        self.now = 0.0
        self.then: Callable[[], None] | None = None
        """Runs once while somebody waits."""

    def look(self) -> Standing | None:
        if not self.models:
            return None
        return Standing(self.active, self.models[self.active - 1], self.state, "it crashed" if self.fails else "")

    def create(self, model_version: int) -> None:
        self.done.append(f"create {model_version}")
        self.models, self.active, self.state = [model_version], 1, "created"

    def start(self) -> None:
        self.done.append("start")
        self.state = "coming"

    def save(self, model_version: int) -> None:
        assert self.state != "coming", "the cluster refuses that"
        self.done.append(f"save {model_version}")
        self.models.append(model_version)
        self._activate(len(self.models))

    def activate(self, version: int) -> None:
        self.done.append(f"activate {version}")
        self._activate(version)

    def versions(self) -> list[tuple[int, int]]:
        return sorted(enumerate(self.models, start=1), reverse=True)

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.then is not None:
            then, self.then = self.then, None
            then()
        if self.state == "coming" and self.models:
            if self.models[self.active - 1] not in self.broken:
                self.state = "ready"
            elif self.fails:
                self.state = "failed"

    def _activate(self, version: int) -> None:
        self.active = version
        if self.state != "stopped":
            self.state = "coming"


def bring(cluster: Cluster, model_version: int) -> Standing:
    deployment: Deployment = cluster
    return deploy(deployment, model_version, Patience(60.0, cluster.pause, lambda: cluster.now))


def test_a_version_becomes_a_new_version_of_the_deployment() -> None:
    cluster = Cluster(6)
    assert bring(cluster, 7) == Standing(2, 7, "ready")
    assert (cluster.models, cluster.done) == ([6, 7], ["save 7"])
    assert bring(cluster, 7) == Standing(2, 7, "ready")  # a repetition changes nothing
    assert bring(cluster, 6) == Standing(3, 6, "ready")  # a rollback is a new version, too
    assert cluster.done == ["save 7", "save 6"]


def test_a_deployment_that_is_not_there_is_created_and_started() -> None:
    cluster = Cluster()
    assert bring(cluster, 1) == Standing(1, 1, "ready")
    assert cluster.done == ["create 1", "start"]
    killed = Cluster(1)  # between the two
    killed.state = "created"
    assert bring(killed, 1) == Standing(1, 1, "ready")
    assert killed.done == ["start"]


@pytest.mark.parametrize(("fails", "why"), [(False, "not ready within 60 s"), (True, "it crashed")])
def test_what_does_not_become_ready_is_taken_back(fails: bool, why: str) -> None:
    cluster = Cluster(5, 6, broken=(7,), fails=fails)
    with pytest.raises(
        NotReady, match=f"version 7 is taken back, as .*{why}.* serves version 6 again, by its version 2"
    ):
        bring(cluster, 7)
    assert (cluster.active, cluster.state, cluster.done) == (2, "ready", ["save 7", "activate 2"])


def test_the_way_back_leads_to_the_version_that_answered_before_and_not_to_the_newest() -> None:
    cluster = Cluster(5, 6, broken=(7,))
    cluster.active = 1  # 6 was taken back before
    with pytest.raises(NotReady, match="serves version 5 again, by its version 1"):
        bring(cluster, 7)
    assert cluster.done == ["save 7", "activate 1"]


def test_instances_of_the_version_before_are_not_taken_for_those_of_the_new_one() -> None:
    class Late(Cluster):
        """Says for a moment that it is ready: the old instances are."""

        def save(self, model_version: int) -> None:
            super().save(model_version)
            self.state, self.then = "ready", self.comes

        def comes(self) -> None:
            self.state = "coming"

    with pytest.raises(NotReady, match="version 7 is taken back"):
        bring(Late(6, broken=(7,)), 7)
    assert bring(Late(6), 7) == Standing(2, 7, "ready")


def test_what_a_killed_predecessor_saved_is_waited_for_and_not_saved_again() -> None:
    cluster = Cluster(6, 7)
    cluster.state = "coming"
    assert bring(cluster, 7) == Standing(2, 7, "ready")
    assert cluster.done == []


def test_what_a_killed_predecessor_saved_is_taken_back_though_nobody_knows_what_was_before() -> None:
    cluster = Cluster(5, 6, 7, broken=(6, 7))  # 6 was taken back before, so the newest other one does not do
    cluster.state = "coming"
    with pytest.raises(NotReady, match="serves version 5 again, by its version 1"):
        bring(cluster, 7)
    assert cluster.done == ["activate 2", "activate 1"]


def test_a_champion_that_comes_while_the_one_before_hangs() -> None:
    cluster = Cluster(5, 6, broken=(6,))
    cluster.state = "coming"
    assert bring(cluster, 7) == Standing(3, 7, "ready")
    assert cluster.done == ["activate 1", "save 7"]


def test_two_who_bring_versions_do_not_both_believe_that_they_did() -> None:
    cluster = Cluster(5)
    cluster.then = lambda: cluster._activate(1)  # the other one goes back, right after our save
    with pytest.raises(StoreError, match="somebody else has changed the deployment meanwhile: it serves version 5"):
        bring(cluster, 6)


def test_a_stopped_deployment_stays_stopped() -> None:
    cluster = Cluster(5)
    cluster.state = "stopped"
    assert bring(cluster, 6) == Standing(2, 6, "stopped")
    assert cluster.done == ["save 6"]


def test_without_an_earlier_version_there_is_nothing_to_go_back_to() -> None:
    cluster = Cluster(broken=(1,))
    with pytest.raises(NotReady, match="it has no earlier version to go back to"):
        bring(cluster, 1)
    worse = Cluster(4, 5, broken=(4, 5, 6))
    with pytest.raises(NotReady, match=r"none of its versions \[2, 1\] became ready again"):
        bring(worse, 6)


def test_a_deployment_that_somebody_deletes() -> None:
    cluster = Cluster(5)
    cluster.then = cluster.models.clear
    with pytest.raises(StoreError, match="somebody has deleted it"):
        bring(cluster, 6)
