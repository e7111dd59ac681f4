"""The cluster itself: connection, API key, project, and a version that fits the SDK."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from retrainer.doctor.checks import Check, CheckFailed, Finding, Severity, failed, ok, warning
from retrainer.doctor.context import CheckContext
from stores.errors import ClusterError, NotThere, Unauthorized

REACHED, KEY, VERSIONS, PROJECT = "cluster", "API key", "versions", "project"

_FIREWALL = "and whether a firewall is between"
_NAMED = "RETRAINER_HOPSWORKS__HOST and RETRAINER_HOPSWORKS__PORT"
_SCOPES = "project, featurestore, kafka, modelregistry, dataset_view, dataset_create, dataset_delete"
NEW_KEY = f"make one in Hopsworks (your name > API keys) with the scopes {_SCOPES}"
"""What to do where a key is refused."""


def cluster_checks(context: CheckContext) -> list[Check]:
    """The checks, from the outside in."""
    return [
        Check(
            REACHED,
            lambda: _reached(context),
            todo=f"see whether {_NAMED} are right, and whether a firewall is between",
        ),
        Check(KEY, lambda: _key(context), needs=(REACHED,)),
        Check(VERSIONS, lambda: _versions(context), needs=(KEY,)),
        Check(PROJECT, lambda: _project(context), needs=(KEY,), deadline=20.0),
    ]


def _reached(context: CheckContext) -> Finding:
    from retrainer.doctor.control_plane import is_about_tls

    cluster = context.cluster
    try:
        answer = context.server()
    except ClusterError as error:
        if not is_about_tls(error):
            raise
        return failed(
            str(error), "set RETRAINER_HOPSWORKS__CA_FILE to the certificates (PEM) of the CA that the cluster has"
        )
    where = f"{cluster.host}:{cluster.port}"
    if answer.status >= 500:
        return failed(f"{where} answers HTTP {answer.status}", "wait, or ask whoever runs the cluster")
    if answer.body is None or answer.status not in {200, 401, 403}:
        return failed(
            f"{where} answers HTTP {answer.status}, and not as Hopsworks does",
            f"see whether {_NAMED} are right, and whether a proxy is between",
        )
    if not cluster.verify:
        return warning(
            f"{where} answers, but its certificate is not checked",
            "set RETRAINER_HOPSWORKS__CA_FILE to the cluster's CA and unset RETRAINER_HOPSWORKS__VERIFY",
        )
    checked_by = f"by {cluster.ca_file}" if cluster.ca_file else "by this machine's authorities"
    return ok(f"{where} answers; its certificate is good {checked_by}")


def _key(context: CheckContext) -> Finding:
    from stores.hopsworks.secrets import key_source

    try:
        context.api_key()
    except Unauthorized as error:
        return failed(str(error), f"{NEW_KEY}, write it to a file and name that in RETRAINER_HOPSWORKS__API_KEY_FILE")
    source, answer = key_source(context.cluster), context.server_by_key()
    if answer.status in {401, 403}:
        return failed(
            f"the cluster refuses the key from {source} (HTTP {answer.status})", f"{NEW_KEY}, and put it there"
        )
    if answer.status != 200:
        return failed(
            f"with the key from {source} the answer is HTTP {answer.status}", "wait, or ask whoever runs the cluster"
        )
    return ok(f"from {source}, and the cluster takes it")


def _versions(context: CheckContext) -> Finding:
    sdk, cluster = version("hopsworks"), _of_hopsworks(context.server_by_key().body)
    if cluster is None:
        return Finding(Severity.OK, f"SDK {sdk}; the cluster does not say its version")
    found = f"cluster {cluster}, SDK {sdk}"
    if _minor(cluster) != _minor(sdk):
        return warning(
            found, "such pairs often work; if not, use a release of Retrainer whose SDK is of the cluster's version"
        )
    return ok(found)


def _project(context: CheckContext) -> Finding:
    try:
        project = context.session().project
    except NotThere as error:
        raise CheckFailed(
            f"the cluster shows this key no project {context.cluster.project} ({error})",
            "see RETRAINER_HOPSWORKS__PROJECT (capitals matter), and have the key's owner made a member of the project",
        ) from None
    return ok(f"{project.name}, number {project.id}")


def _of_hopsworks(body: Any) -> str | None:
    software = body if isinstance(body, list) else []
    found = next((one for one in software if isinstance(one, dict) and one.get("software") == "hopsworks"), {})
    return str(found["version"]) if found.get("version") else None


def _minor(number: str) -> list[str]:
    return number.split(".")[:2]
