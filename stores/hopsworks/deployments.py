"""A deployment of a Hopsworks cluster, through the SDK.

The SDK's own waiting is left out (`await_update=0`): it takes no sign to stop, and an idle deployment for one that
never becomes ready.
"""

from __future__ import annotations

from typing import Any

from stores.deployment import Standing, State
from stores.errors import StoreError
from stores.hopsworks.models import Entry
from stores.hopsworks.session import Session

_STATES: dict[str, State] = {
    "Creating": "coming",
    "Created": "created",
    "Starting": "coming",
    "Updating": "coming",
    "Running": "ready",
    "Idle": "ready",  # scaled to zero, until somebody asks
    "Failed": "failed",
    "Stopping": "coming",
    "Stopped": "stopped",
}


def served_version(session: Session, name: str) -> int | None:
    """The version of the model that a deployment serves now, whatever its state; None where there is none."""
    found = session.ask(
        f"look for the deployment {name}", lambda: session.project.get_model_serving().get_deployment(name)
    )
    return None if found is None or found.model_version is None else int(found.model_version)


class HopsworksDeployment:
    """A `Deployment` (`stores.deployment`).

    Args:
        session: with the cluster.
        name: the deployment's.
        entry: the version of the model in the registry that may be brought there.
    """

    def __init__(self, session: Session, name: str, entry: Entry) -> None:
        self._session = session
        self._name = name
        self._entry = entry

    def look(self) -> Standing | None:
        """See Deployment."""
        found = self._found()
        if found is None:
            return None
        if found.model_name != self._entry.model.name:
            raise StoreError(
                f"the deployment {self._name} serves {found.model_name or 'no model'}, and not "
                f"{self._entry.model.name}: set RETRAINER_DEPLOYMENT__NAME to one of its own"
            )
        state = self._session.ask(f"ask for the state of the deployment {self._name}", found.get_state)
        if state.status not in _STATES:
            raise StoreError(f"the deployment {self._name} is {state.status}, which this release does not know")
        reason = str(state.condition.reason or "") if state.condition is not None else ""
        return Standing(int(found.version), int(found.model_version), _STATES[state.status], reason)

    def create(self, model_version: int) -> None:
        """See Deployment."""
        self._check(model_version)

        def create() -> None:
            serving = self._session.project.get_model_serving()
            predictor = serving.create_predictor(self._entry.model, name=self._name)
            serving.create_deployment(predictor).save()

        self._session.once(f"create the deployment {self._name}", create)

    def start(self) -> None:
        """See Deployment."""
        found = self._present()
        self._session.once(f"start the deployment {self._name}", lambda: found.start(await_running=0))

    def save(self, model_version: int) -> None:
        """See Deployment."""
        self._check(model_version)
        found = self._present()
        found.model_version = model_version
        found.predictor.model_path = self._entry.model.model_path
        what = f"save a new version of the deployment {self._name}"
        self._session.once(what, lambda: found.save(await_update=0, new_version=True))

    def activate(self, version: int) -> None:
        """See Deployment."""
        found = self._present()
        what = f"go back to version {version} of the deployment {self._name}"
        self._session.once(what, lambda: found.rollback(version, await_update=0))

    def versions(self) -> list[tuple[int, int]]:
        """See Deployment."""
        found = self._present()
        listed = self._session.ask(f"list the versions of the deployment {self._name}", found.get_versions)
        return [(int(one.version), int(one.model_version)) for one in listed if one.model_version is not None]

    def _check(self, model_version: int) -> None:
        if model_version != self._entry.version:
            raise ValueError(f"version {model_version} is asked for, and {self._entry.version} was looked up")

    def _found(self) -> Any:
        what = f"look for the deployment {self._name}"
        return self._session.ask(what, lambda: self._session.project.get_model_serving().get_deployment(self._name))

    def _present(self) -> Any:
        if (found := self._found()) is None:
            raise StoreError(f"the deployment {self._name} is gone: somebody has deleted it meanwhile")
        return found
