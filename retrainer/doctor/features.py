"""Reading features: the query service for all users, the feature view and the online store for one."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import Any

from retrainer.doctor.checks import Check, Finding, Trouble, failed, ok, skipped, warning
from retrainer.doctor.group import GROUP, ONLINE
from retrainer.doctor.rows import in_words
from retrainer.doctor.samples import read_batches, some_users, user_judged, users_judged
from retrainer.doctor.visit import Visit
from schemas.hopsworks import HopsworksStore
from stores.errors import StoreError

QUERY, VIEW, READ = "query service", "feature view", "online read"

_FLIGHT_PORT = 5005  # the SDK does not let it be chosen
_CONNECT = 3.0
_READ_TIMEOUT = 5.0
_SETUP = "retrainer setup-hopsworks"
_NO_QUERIES = "have it enabled (variable enable_flyingduck), or set RETRAINER_FEATURE_STORE__SNAPSHOT=online"


def feature_checks(visit: Visit) -> list[Check]:
    """The query service comes first: it names a user for the online read."""
    return [
        Check(QUERY, lambda: _query(visit), needs=(GROUP,), deadline=14.0, todo=_down("the query service", "")),
        Check(VIEW, lambda: _view(visit), needs=(ONLINE,)),
        Check(READ, lambda: _read(visit), needs=(ONLINE,), todo=_down("the online store's REST server", "")),
    ]


def _query(visit: Visit) -> Finding:
    if _variable(visit, "enable_flyingduck") != "true":
        return _unless_online(visit, failed("the query service is not enabled on the cluster", _NO_QUERIES))
    host = _variable(visit, "loadbalancer_external_domain_feature_query")
    if host is None:
        found = "the cluster does not say where its query service is reached from outside"
        return _unless_online(visit, failed(found, "have loadbalancer_external_domain_feature_query set"))
    # The SDK tries for a minute where nobody listens, and then fails with an error that says nothing.
    if (reason := _nobody(host, _FLIGHT_PORT)) is not None:
        found = f"no connection to the query service at {host}:{_FLIGHT_PORT}: {reason}"
        return _unless_online(visit, failed(found, _down("the query service", f" at port {_FLIGHT_PORT}")))
    started = time.monotonic()
    rows, visit.user = some_users(visit)
    visit.queries = True
    took = f"{1000 * (time.monotonic() - started):.0f} ms"
    if not rows.keys and not rows.keyless:
        found = f"{host}:{_FLIGHT_PORT} gave nobody: the group is empty, and no cycle succeeds until it is not"
        return _unless_online(visit, failed(found, "write rows into the feature group"))
    return users_judged(visit, f"{host}:{_FLIGHT_PORT} gave {in_words(len(rows.keys), 'user')} in {took}", rows)


def _somebody(visit: Visit, **how: Any) -> str | None:
    """A user whom a read of all gives first; None where there is nobody."""
    from stores.keys import user_key

    one = visit.group.select([visit.settings.feature_group.primary_key]).limit(1)
    batches = read_batches("read a user", one, **how)
    keys = (user_key(value) for batch in batches for value in batch.column(0).to_pylist())
    return next((key for key in keys if key is not None), None)


def _unless_online(visit: Visit, finding: Finding) -> Finding:
    """Where snapshots are read online, a query service that is missing hurts nobody."""
    store = visit.settings.feature_store
    if isinstance(store, HopsworksStore) and store.snapshot == "online":
        return ok(f"not needed: snapshots are read online ({finding.found})")
    return finding


def _view(visit: Visit) -> Finding:
    if not visit.group.online_enabled:
        return skipped("not used: the group is offline-only")
    from stores.hopsworks.groups import columns_of
    from stores.hopsworks.online import view_name

    store, group = visit.settings.feature_store, visit.settings.feature_group
    assert isinstance(store, HopsworksStore)
    name, version = view_name(store, group), store.feature_view_version
    session = visit.session
    found: Any = session.ask(
        f"look for the feature view {name}",
        lambda: session.project.get_feature_store().get_feature_view(name, version=version),
    )
    if found is None:
        return warning(f"{name}, version {version}, is not there; the first cycle makes it", f"{_SETUP} makes it now")
    has = {feature.name for feature in found.features}
    if lacking := [column for column in columns_of(group) if column not in has]:
        return failed(
            f"{name}, version {version}, lacks {', '.join(lacking)}",
            "set RETRAINER_FEATURE_STORE__FEATURE_VIEW or __FEATURE_VIEW_VERSION to another, which is made",
        )
    visit.view_is_there = True
    return ok(f"{name}, version {version}, has the columns")


def _read(visit: Visit) -> Finding:
    from stores.features.hopsworks import HopsworksFeatureStore

    if not visit.group.online_enabled:
        return skipped("not used: the group is offline-only")
    if not visit.view_is_there:
        return skipped(f"needs {VIEW}")
    store = visit.settings.feature_store
    assert isinstance(store, HopsworksStore)
    host = store.online_host or _variable(visit, "loadbalancer_external_domain_online_store_rest_server")
    where = f"{host}:{store.online_port}"
    if host is not None and (reason := _nobody(host, store.online_port)) is not None:
        todo = (
            f"{_down('the online store', f' at port {store.online_port}')}, or set RETRAINER_FEATURE_STORE__ONLINE_HOST"
        )
        return failed(f"no connection to the online store's REST server at {where}: {reason}", todo)
    user = visit.user or _somebody_by_sql(visit)
    if user is None:
        return failed("nobody is in the feature group yet, so nobody can be read", "write rows into the feature group")
    impatient = store.model_copy(update={"read_timeout": min(store.read_timeout, _READ_TIMEOUT)})
    with closing(HopsworksFeatureStore(visit.session, impatient, visit.settings.feature_group)) as opened:
        opened.read([user])  # the first read logs in, too
        started = time.monotonic()
        rows = opened.read([user])
    took = f"{1000 * (time.monotonic() - started):.0f} ms"
    if not rows.keys:
        return warning(
            f"{where} answers in {took}, but does not have a user whom the offline store has",
            "see whether rows are written to both stores, and whether the offline one was cleaned up",
        )
    return user_judged(visit, f"{where} gave one user in {took}", rows)


def _somebody_by_sql(visit: Visit) -> str | None:
    """Where the query service is away, too."""
    from stores.hopsworks.deadline import within

    try:
        return within(_READ_TIMEOUT, lambda: _somebody(visit, online=True))
    except (TimeoutError, StoreError) as error:
        raise Trouble(
            f"nobody is known who could be read, as the query service names nobody, nor SQL: {error}",
            _down("the online store's SQL server", " at its port, as a rule 3306"),
        ) from None


def _variable(visit: Visit, name: str) -> str | None:
    from retrainer.doctor.control_plane import variable
    from stores.hopsworks.secrets import api_key

    return variable(visit.cluster, name, api_key(visit.cluster))


def _nobody(host: str, port: int) -> str | None:
    """Why nobody is reached at an address; None if somebody is."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _down(what: str, port: str) -> str:
    return f"see whether {what} runs, and whether a firewall lets this machine reach it{port}"
