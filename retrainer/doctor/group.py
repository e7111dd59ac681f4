"""The feature group: its columns, its online store, and the topic of its changes."""

from __future__ import annotations

from contextlib import closing

from retrainer.doctor.checks import Check, Finding, failed, ok, warning
from retrainer.doctor.cluster import PROJECT
from retrainer.doctor.context import CheckContext
from retrainer.doctor.rows import judged
from schemas.cycle import LocalStore
from schemas.hopsworks import HopsworksStore
from stores.errors import NotThere

GROUP, ONLINE, NOTIFICATION = "feature group", "online store", "notification topic"

_SETUP = "retrainer setup-hopsworks"
_DELAY = "the cluster heeds it within 30 minutes"
_WRITER = "whoever writes features makes it; `retrainer simulate` does so for a trial"
_ROWS = "set RETRAINER_FEATURE_GROUP__COLUMNS to what the rows have, or have whoever writes features mend them"
_COLUMNS = "set RETRAINER_FEATURE_GROUP__COLUMNS and __PRIMARY_KEY to what the group has, or name another group"


def group_checks(context: CheckContext) -> list[Check]:
    """The checks of the group in the cluster, or in the local store without a cluster."""
    if not context.has_cluster:
        return [Check(GROUP, lambda: _local(context), todo=_COLUMNS)]
    return [
        Check(GROUP, lambda: _group(context), needs=(PROJECT,)),
        Check(ONLINE, lambda: _online(context), needs=(GROUP,)),
        Check(NOTIFICATION, lambda: _notification(context), needs=(ONLINE,)),
    ]


def _local(context: CheckContext) -> Finding:
    from stores.features.checks import check_rows
    from stores.features.local import LocalFeatureStore

    store, group = context.settings.feature_store, context.settings.feature_group
    assert isinstance(store, LocalStore)
    if not store.path.exists():
        return failed(
            f"there is no {store.path}, and no cycle succeeds until there is",
            f"mount its volume, or set RETRAINER_FEATURE_STORE__PATH; {_WRITER}",
        )
    with closing(LocalFeatureStore(store.path, group, untouched=True)) as opened:
        opened.check_contract()
        users = opened.count()
        some = next(opened.snapshot(), None)
    if users == 0 or some is None:
        return failed(f"{group.name} in {store.path} holds no users, and no cycle succeeds until it does", _WRITER)
    found = check_rows(group, some)
    has = f"{group.name} in {store.path} has the {len(group.columns)} columns, and {users} users"
    return judged(has, len(found.keys), found.refused.values(), found.keyless, _ROWS)


def _group(context: CheckContext) -> Finding:
    from stores.hopsworks.groups import differences, unreadable_offline

    contract = context.settings.feature_group
    try:
        group = context.group()
    except NotThere as error:
        return failed(str(error), "see RETRAINER_FEATURE_GROUP__NAME and RETRAINER_FEATURE_GROUP__VERSION")
    if found := differences(group, contract):
        return failed("; ".join(found), _COLUMNS)
    store = context.settings.feature_store
    reads_offline = not group.online_enabled or (isinstance(store, HopsworksStore) and store.snapshot == "offline")
    if reads_offline and (why := unreadable_offline(group)):
        return failed(why, "make the group with time travel, or set RETRAINER_FEATURE_STORE__SNAPSHOT=online")
    has = f"{contract.name}, version {contract.version}, number {group.id}, has the {len(contract.columns)} columns"
    return ok(f"{has}; a user's latest row by {group.event_time} counts" if group.event_time else has)


def _online(context: CheckContext) -> Finding:
    bridged, online = context.settings.kafka.source == "bridge", bool(context.group().online_enabled)
    if online and bridged:
        return failed(
            "the group is online-enabled and tells its changes itself; no bridge is needed",
            "unset RETRAINER_KAFKA__SOURCE",
        )
    if online:
        return ok("the group is online-enabled")
    if bridged:
        return ok("the group is offline-only; `retrainer bridge` tells its changes")
    return failed(
        "the group is offline-only, so nothing of it reaches Kafka",
        "run `retrainer bridge` beside the service, with RETRAINER_KAFKA__SOURCE=bridge for both",
    )


def _notification(context: CheckContext) -> Finding:
    kafka, told = context.settings.kafka, context.group().notification_topic_name or None
    if kafka.source == "bridge":
        return ok("not needed: the changes come from `retrainer bridge`")
    if kafka.source == "ingestion":
        return ok("not needed: the changes are read from the ingestion topic")
    given = kafka.topic if "topic" in kafka.model_fields_set else None
    if told is None:
        return failed("the group tells nobody of its changes", f"{_SETUP} (makes the topic and sets it; {_DELAY})")
    if given is not None and given != told:
        return warning(
            f"the group tells its changes to {told}, but RETRAINER_KAFKA__TOPIC is {given}",
            f"unset RETRAINER_KAFKA__TOPIC, or {_SETUP} --replace ({_DELAY})",
        )
    return ok(f"the group tells its changes to {told}; a change of that takes up to 30 minutes")
