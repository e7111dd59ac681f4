"""Reads of features: the query service for all users, the feature view and the online store for one user."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import Any

from retrainer.doctor.checks import Check, CheckFailed, Finding, failed, ok, skipped, warning
from retrainer.doctor.context import CheckContext
from retrainer.doctor.group import GROUP, ONLINE
from retrainer.doctor.rows import in_words
from retrainer.doctor.samples import read_batches, user_judged, users_judged
from schemas.hopsworks import HopsworksStore
from stores.errors import StoreError

QUERY, VIEW, READ = "query service", "feature view", "online read"

_FLIGHT_PORT = 5005  # the SDK has no setting for it
_CONNECT = 3.0
_READ_TIMEOUT = 5.0
_SETUP = "retrainer setup-hopsworks"
_NO_QUERIES = "have it enabled (variable enable_flyingduck), or set RETRAINER_FEATURE_STORE__SNAPSHOT=online"


def feature_checks(context: CheckContext) -> list[Check]:
    """The query service comes first: it names a user for the online read."""
    return [
        Check(QUERY, lambda: _query(context), needs=(GROUP,), deadline=14.0, todo=_down("the query service", "")),
        Check(VIEW, lambda: _view(context), needs=(ONLINE,)),
        Check(READ, lambda: _read(context), needs=(ONLINE,), todo=_down("the online store's REST server", "")),
    ]


def _query(context: CheckContext) -> Finding:
    if _variable(context, "enable_flyingduck") != "true":
        return _unless_online(context, failed("the query service is not enabled on the cluster", _NO_QUERIES))
    host = _variable(context, "loadbalancer_external_domain_feature_query")
    if host is None:
        found = "the cluster does not say where its query service is reached from outside"
        return _unless_online(context, failed(found, "have loadbalancer_external_domain_feature_query set"))
    # Without a listener the SDK tries for a minute, and then fails with an error that says nothing.
    if (reason := _nobody(host, _FLIGHT_PORT)) is not None:
        found = f"no connection to the query service at {host}:{_FLIGHT_PORT}: {reason}"
        return _unless_online(context, failed(found, _down("the query service", f" at port {_FLIGHT_PORT}")))
    started = time.monotonic()
    rows = context.sample().rows
    took = f"{1000 * (time.monotonic() - started):.0f} ms"
    if not rows.keys and not rows.keyless:
        found = f"{host}:{_FLIGHT_PORT} gave nobody: the group is empty, and no cycle succeeds until it is not"
        return _unless_online(context, failed(found, "write rows into the feature group"))
    return users_judged(
        context.settings.feature_group, f"{host}:{_FLIGHT_PORT} gave {in_words(len(rows.keys), 'user')} in {took}", rows
    )


def _somebody(context: CheckContext, **how: Any) -> str | None:
    """The first user of a read of all; None where there are no users."""
    from stores.keys import user_key

    one = context.group().select([context.settings.feature_group.primary_key]).limit(1)
    batches = read_batches("read a user", one, **how)
    keys = (user_key(value) for batch in batches for value in batch.column(0).to_pylist())
    return next((key for key in keys if key is not None), None)


def _unless_online(context: CheckContext, finding: Finding) -> Finding:
    """The finding, unless snapshots are read online: then the query service is not needed."""
    store = context.settings.feature_store
    if isinstance(store, HopsworksStore) and store.snapshot == "online":
        return ok(f"not needed: snapshots are read online ({finding.found})")
    return finding


def _view(context: CheckContext) -> Finding:
    if not context.group().online_enabled:
        return skipped("not used: the group is offline-only")
    from stores.hopsworks.online import view_name

    store, group = context.settings.feature_store, context.settings.feature_group
    assert isinstance(store, HopsworksStore)
    name, version = view_name(store, group), store.feature_view_version
    if context.view() is None:
        return warning(f"{name}, version {version}, is not there; the first cycle makes it", f"{_SETUP} makes it now")
    if lacking := _lacking(context):
        return failed(
            f"{name}, version {version}, lacks {', '.join(lacking)}",
            "set RETRAINER_FEATURE_STORE__FEATURE_VIEW or __FEATURE_VIEW_VERSION to another, which is made",
        )
    return ok(f"{name}, version {version}, has the columns")


def _lacking(context: CheckContext) -> list[str]:
    """Columns of the group that the feature view does not have."""
    from stores.hopsworks.groups import columns_of

    has = {feature.name for feature in context.view().features}
    return [column for column in columns_of(context.settings.feature_group) if column not in has]


def _read(context: CheckContext) -> Finding:
    from stores.features.hopsworks import HopsworksFeatureStore

    if not context.group().online_enabled:
        return skipped("not used: the group is offline-only")
    if context.view.known is None or _lacking(context):
        return skipped(f"needs {VIEW}")
    store = context.settings.feature_store
    assert isinstance(store, HopsworksStore)
    host = store.online_host or _variable(context, "loadbalancer_external_domain_online_store_rest_server")
    where = f"{host}:{store.online_port}"
    if host is not None and (reason := _nobody(host, store.online_port)) is not None:
        todo = (
            f"{_down('the online store', f' at port {store.online_port}')}, or set RETRAINER_FEATURE_STORE__ONLINE_HOST"
        )
        return failed(f"no connection to the online store's REST server at {where}: {reason}", todo)
    sample = context.sample.known
    user = (sample.user if sample else None) or _somebody_by_sql(context)
    if user is None:
        return failed("nobody is in the feature group yet, so nobody can be read", "write rows into the feature group")
    impatient = store.model_copy(update={"read_timeout": min(store.read_timeout, _READ_TIMEOUT)})
    with closing(HopsworksFeatureStore(context.session(), impatient, context.settings.feature_group)) as opened:
        opened.read([user])  # the first read logs in, too
        started = time.monotonic()
        rows = opened.read([user])
    took = f"{1000 * (time.monotonic() - started):.0f} ms"
    if not rows.keys:
        return warning(
            f"{where} answers in {took}, but does not have a user whom the offline store has",
            "see whether rows are written to both stores, and whether the offline one was cleaned up",
        )
    return user_judged(context.settings.feature_group, f"{where} gave one user in {took}", rows)


def _somebody_by_sql(context: CheckContext) -> str | None:
    """A user found by SQL, where the query service is away."""
    from stores.hopsworks.deadline import within

    try:
        return within(_READ_TIMEOUT, lambda: _somebody(context, online=True))
    except (TimeoutError, StoreError) as error:
        raise CheckFailed(
            f"nobody is known who could be read, as the query service names nobody, nor SQL: {error}",
            _down("the online store's SQL server", " at its port, as a rule 3306"),
        ) from None


def _variable(context: CheckContext, name: str) -> str | None:
    from retrainer.doctor.control_plane import variable

    return variable(context.cluster, name, context.api_key())


def _nobody(host: str, port: int) -> str | None:
    """Why no connection to an address is possible; None where one is."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _down(what: str, port: str) -> str:
    return f"see whether {what} runs, and whether a firewall lets this machine reach it{port}"
