"""A deployment that serves one model, as whoever brings the champion there sees it, and the way to bring it.

A deployment has versions, one of which is active. Bringing a version of the model always makes a new one, so that the
one before stays as it was and can be gone back to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from stores.errors import StoreError

State = Literal["ready", "coming", "created", "stopped", "failed"]
"""Whether instances answer: `coming` are those that start or are replaced, `created` were never started, and `stopped`
were stopped by somebody."""

LOOK_EVERY = 5.0
_MOST_TRIED = 3  # earlier versions that are gone back to, each of which may take as long as a new one


class NotReady(StoreError):  # noqa: N818
    """A version did not become ready; the message says what the deployment serves instead."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a deployment is."""

    version: int
    """The active version of the deployment."""
    model_version: int
    state: State
    reason: str = ""
    """Why it failed, in the words of the cluster."""


class Deployment(Protocol):
    """One deployment. Methods raise StoreError where the cluster does not do what it is asked for."""

    def look(self) -> Standing | None:
        """How it is now; None where there is no such deployment."""

    def create(self, model_version: int) -> None:
        """Make the deployment, not started."""

    def start(self) -> None:
        """Have it start; returns at once."""

    def save(self, model_version: int) -> None:
        """Make a new version that serves this version of the model, and activate it; returns at once."""

    def activate(self, version: int) -> None:
        """Go back to a version that there is; returns at once."""

    def versions(self) -> list[tuple[int, int]]:
        """All its versions, each with its version of the model, newest first."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for instances, and by which clock.

    Attributes:
        within: seconds until instances must be ready.
        pause: waits so many seconds; may raise StoreError where nobody waits for the answer any more.
        clock: seconds of a clock that nobody sets.
    """

    within: float
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def deploy(deployment: Deployment, model_version: int, patience: Patience) -> Standing:
    """Have a deployment serve a version of the model, and wait until it is ready.

    What a killed predecessor has left is taken up: a new version that still starts is waited for, not made again. Where
    somebody has stopped the deployment, it stays stopped.

    Returns:
        How it is at the end: `ready` or `stopped`, and of that version.

    Raises:
        NotReady: the version did not become ready within the time, so an earlier version is active again.
        StoreError: the cluster did not do what it was asked for; how the deployment is is not known.
    """
    found = deployment.look()
    before: int | None = None
    if found is None:
        deployment.create(model_version)
    elif found.model_version != model_version:
        if found.state == "coming" and (found := _settled(deployment, patience)).state == "coming":
            found = _back(deployment, found, None, patience)  # a new version cannot be saved over one that starts
        before = found.version
        deployment.save(model_version)
    found = _settled(deployment, patience, fresh=before is not None)
    if found.model_version != model_version:
        raise StoreError(
            f"somebody else has changed the deployment meanwhile: it serves version {found.model_version}, by its"
            f" version {found.version}"
        )
    if found.state in {"ready", "stopped"}:
        return found
    why = found.reason or f"it was not ready within {patience.within:.0f} s"
    back = _back(deployment, found, before, patience, why)
    raise NotReady(
        f"version {model_version} is taken back, as {why}: the deployment serves version {back.model_version} again, by"
        f" its version {back.version}; see the logs of the deployment"
    )


def _settled(deployment: Deployment, patience: Patience, *, fresh: bool = False) -> Standing:
    """How the deployment is once it is not on its way any more, or the time is over.

    After a change, `fresh`, the state may be that of the old instances for a moment, so it is looked at twice.
    """
    deadline = patience.clock() + patience.within
    sure = not fresh
    while True:
        found = deployment.look()
        if found is None:
            raise StoreError("the deployment is gone: somebody has deleted it meanwhile")
        if found.state == "created":
            deployment.start()
        elif found.state != "coming":
            if sure:
                return found
            sure = True
        if patience.clock() >= deadline:
            return found
        patience.pause(LOOK_EVERY)


def _back(
    deployment: Deployment, bad: Standing, before: int | None, patience: Patience, why: str = "it still starts"
) -> Standing:
    """Go back to an earlier version, `before` if that is known, and wait until one is ready.

    Raises:
        NotReady: none is.
    """
    others = [version for version, model in deployment.versions() if model != bad.model_version]
    first = [before] if before is not None else []
    tried = list(dict.fromkeys([*first, *others]))[:_MOST_TRIED]
    for version in tried:
        deployment.activate(version)
        found = _settled(deployment, patience, fresh=True)
        if found.state in {"ready", "stopped"}:
            return found
    ways = f"none of its versions {tried} became ready again" if tried else "it has no earlier version to go back to"
    raise NotReady(
        f"version {bad.model_version} is deployed, and not ready, as {why}; {ways}: see the logs of the deployment"
    )
