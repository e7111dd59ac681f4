"""Events of what is served: exports for TensorFlow Serving, and deployments of a cluster."""

from __future__ import annotations

from schemas.log_events.event import LogEvent, begins, ends

_VERSION = "the version"

EXPORTED = LogEvent(
    "version exported",
    "info",
    "The champion lies where TensorFlow Serving finds it, as the highest version.",
    version=_VERSION,
    folder="where it lies",
    warm_up_rows="`feature store` where the warm-up asks about real rows, else `drawn`",
)
EXPORT_TROUBLE = begins(
    "cannot export the champion", "TensorFlow Serving goes on with the version it has. The service tries again."
)
EXPORT_WORKS = ends("the champion is exported again", "TensorFlow Serving finds the champion.")

DEPLOYED = LogEvent(
    "version deployed",
    "info",
    "The deployment of the cluster serves the champion.",
    version=_VERSION,
    deployment="the name of the deployment",
    deployment_version="the version of the deployment that is active",
    state="`ready`, or `stopped` where somebody has stopped the deployment",
)
DEPLOYMENT_TROUBLE = begins(
    "cannot deploy the champion",
    "The deployment serves another version. The reason says which, and whether the champion was taken back because it "
    "did not become ready. The service tries again.",
)
DEPLOYMENT_WORKS = ends("the champion is deployed again", "The deployment serves the champion.")
