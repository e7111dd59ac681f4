"""Brings the champion into a deployment of the cluster, by a process of the room of stores."""

from __future__ import annotations

from contextlib import closing

import structlog

from consumer.deployment.champion_follower import NotBrought
from consumer.deployment.child import Child
from consumer.settings import Settings
from schemas.hopsworks import HopsworksDeployment
from schemas.log_events.deployment import DEPLOYED

log = structlog.get_logger()

_TURNS = 5  # the new version, at most three earlier ones, and one that somebody else has just changed
_BESIDES = 300.0  # seconds for login and requests


class Deployer:
    """A `Carrier` (`consumer.deployment.champion_follower`).

    Args:
        settings: those of the service.
        deployment: which one, and how long it may take.
    """

    def __init__(self, settings: Settings, deployment: HopsworksDeployment) -> None:
        self._given = settings.for_trainer().model_dump_json()
        self._deployment = deployment
        self._child = Child(settings)

    @property
    def name(self) -> str:
        """See Carrier."""
        return "deployment"

    def there(self) -> int | None:
        """See Carrier. The cluster is not asked again and again: what a person does there between promotions stays."""
        return None

    def bring(self, version: int) -> str:
        """See Carrier."""
        within = _TURNS * self._deployment.ready_within + _BESIDES
        with closing(self._child.lines(["stores", "deploy", str(version)], self._given, within)) as lines:
            for said in lines:
                if "error" in said:
                    raise NotBrought(said["error"], again=said["again"])
                deployed = said["deployed"]
                log.info(
                    DEPLOYED,
                    version=version,
                    deployment=self._deployment.name,
                    deployment_version=deployed["version"],
                    state=deployed["state"],
                )
                return (
                    f"{self._deployment.name} serves version {version}, by its version {deployed['version']}"
                    if deployed["state"] == "ready"
                    else f"{self._deployment.name} is stopped; its version {deployed['version']} has version {version}"
                )
        raise NotBrought(f"the deployment of version {version} ended with code {self._child.code}", again=True)

    def give_up(self) -> None:
        """See Carrier. What the process had begun is taken up by the next."""
        self._child.kill()
