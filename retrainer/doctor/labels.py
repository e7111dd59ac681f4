"""The label group, where one is set: columns and keys, and the topic of its changes."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from retrainer.doctor.checks import Check, Finding, failed, ok, skipped, warning
from retrainer.doctor.cluster import PROJECT
from retrainer.doctor.context import CheckContext
from retrainer.doctor.group import GROUP
from retrainer.doctor.kafka import BROKERS
from retrainer.doctor.rows import judged
from retrainer.doctor.topic import describe
from schemas.cycle import LocalStore
from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup
from stores.errors import NotThere

LABELS, LABEL_TOPIC, LABEL_ROWS = "label group", "label topic", "label rows"

_COLUMNS = "set RETRAINER_LABELS__… to what the group has, or name another group"
_ROWS = "see RETRAINER_LABELS__WORDS, and have whoever writes labels write what it names"
_SETUP = "retrainer setup-hopsworks"
_DELAY = "the cluster heeds it within 30 minutes"


def label_checks(context: CheckContext, labels: LabelGroup) -> list[Check]:
    """The checks of the label group in the cluster, or in the local store without a cluster."""
    look, needs = (_group, PROJECT) if context.has_cluster else (_local, GROUP)
    return [
        Check(LABELS, lambda: look(context, labels), needs=(needs,), todo=_COLUMNS),
        Check(LABEL_TOPIC, lambda: _topic(context, labels), needs=(BROKERS, LABELS)),
    ]


def label_rows_check(context: CheckContext, labels: LabelGroup) -> Check:
    """Whether a cycle would accept the rows of the label group in a cluster."""
    return Check(LABEL_ROWS, lambda: _rows(context, labels), needs=(LABELS,), deadline=14.0)


def _rows(context: CheckContext, labels: LabelGroup) -> Finding:
    if context.sample.known is None:
        return skipped("needs query service")
    from retrainer.doctor.samples import labels_judged

    return labels_judged(context.label_group(), labels)


def _local(context: CheckContext, labels: LabelGroup) -> Finding:
    from stores.labels.checks import check_labels
    from stores.labels.local import LocalLabelStore

    store = context.settings.feature_store
    assert isinstance(store, LocalStore)
    if not store.path.exists():
        return failed(f"there is no {store.path}", "see the feature group, which lies in the same file")
    with closing(LocalLabelStore(store.path, labels, untouched=True)) as opened:
        opened.check_contract()
        count = opened.count()
        some = next(opened.snapshot(), None)
    if count == 0 or some is None:
        return ok(
            f"{labels.name} in {store.path} holds no labels yet; until it does, users are similar by their features"
        )
    found = check_labels(labels, some)
    has = f"{labels.name} in {store.path} has the columns, and {count} labels"
    return judged(has, len(found), found.refused.values(), found.keyless, _ROWS)


def _group(context: CheckContext, labels: LabelGroup) -> Finding:
    from stores.hopsworks.groups import differences, unreadable_offline

    try:
        group = context.label_group()
    except NotThere as error:
        return failed(str(error), "docs/labels.md makes one in ten lines; or see RETRAINER_LABELS__NAME and __VERSION")
    if found := differences(group, labels):
        return failed("; ".join(found), _COLUMNS)
    store = context.settings.feature_store
    reads_offline = not group.online_enabled or (isinstance(store, HopsworksStore) and store.snapshot == "offline")
    if reads_offline and (why := unreadable_offline(group)):
        return failed(why, "make the group with time travel, or set RETRAINER_FEATURE_STORE__SNAPSHOT=online")
    return _announced(context, labels, group)


def _announced(context: CheckContext, labels: LabelGroup, group: Any) -> Finding:
    """The finding on a sound group: whether its changes are announced."""
    kafka = context.settings.kafka
    has = f"{labels.name}, version {labels.version}, number {group.id}, has the columns"
    if not group.online_enabled:
        return ok(f"{has}; it is offline-only, and `retrainer bridge --labels` tells its changes")
    told = group.notification_topic_name or None
    if kafka.source == "ingestion":
        return ok(f"{has}; its changes are read from the ingestion topic")
    if told is None:
        return failed(f"{has}, but it tells nobody of its changes", f"{_SETUP} (makes the topic and sets it; {_DELAY})")
    if kafka.label_topic is not None and kafka.label_topic != told:
        return warning(
            f"{has}; it tells its changes to {told}, but RETRAINER_KAFKA__LABEL_TOPIC is {kafka.label_topic}",
            f"unset RETRAINER_KAFKA__LABEL_TOPIC, or {_SETUP} --replace ({_DELAY})",
        )
    return ok(f"{has}, and tells its changes to {told}")


def _topic_of(context: CheckContext, labels: LabelGroup) -> str:
    """Where changes of labels are announced."""
    kafka = context.settings.kafka
    if kafka.label_topic is not None:
        return kafka.label_topic
    if not context.has_cluster:
        return kafka.topic
    group = context.label_group()
    if not group.online_enabled:
        return f"{labels.name}_changes"
    if kafka.source == "ingestion":
        return str(getattr(group, "_online_topic_name", None) or group.topic_name)
    return str(group.notification_topic_name)


def _topic(context: CheckContext, labels: LabelGroup) -> Finding:
    topic = _topic_of(context, labels)
    described = describe(context.kafka, topic)
    if not described["error_code"]:
        return ok(f"{topic}, with {len(described['partitions'])} partitions")
    make = _SETUP if context.has_cluster else "make it, or set RETRAINER_KAFKA__LABEL_TOPIC"
    return failed(f"there is no topic {topic} for labels of {labels.name}, or it may not be read", make)
