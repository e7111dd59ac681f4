"""The label group, where one is set: its columns and keys, where its changes are told, and whether that is there."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from retrainer.doctor.brokers import admin
from retrainer.doctor.checks import Check, Finding, failed, ok, skipped, warning
from retrainer.doctor.cluster import PROJECT
from retrainer.doctor.group import GROUP
from retrainer.doctor.kafka import BROKERS
from retrainer.doctor.rows import judged
from retrainer.doctor.visit import Visit
from schemas.cycle import LocalStore
from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup
from stores.errors import NotThere

LABELS, LABEL_TOPIC, LABEL_ROWS = "label group", "label topic", "label rows"

_COLUMNS = "set RETRAINER_LABELS__… to what the group has, or name another group"
_ROWS = "see RETRAINER_LABELS__WORDS, and have whoever writes labels write what it names"
_SETUP = "retrainer setup-hopsworks"
_DELAY = "the cluster heeds it within 30 minutes"


def label_checks(visit: Visit, labels: LabelGroup) -> list[Check]:
    """Of a cluster where one is named."""
    look, needs = (_group, PROJECT) if visit.has_cluster else (_local, GROUP)
    return [
        Check(LABELS, lambda: look(visit, labels), needs=(needs,), todo=_COLUMNS),
        Check(LABEL_TOPIC, lambda: _topic(visit, labels), needs=(BROKERS, LABELS)),
    ]


def label_rows_check(visit: Visit, labels: LabelGroup) -> Check:
    """Whether a cycle would take what the label group of a cluster holds."""
    return Check(LABEL_ROWS, lambda: _rows(visit, labels), needs=(LABELS,), deadline=14.0)


def _rows(visit: Visit, labels: LabelGroup) -> Finding:
    if not visit.queries:
        return skipped("needs query service")
    from retrainer.doctor.samples import labels_judged

    return labels_judged(visit.label_group, labels)


def _local(visit: Visit, labels: LabelGroup) -> Finding:
    from stores.labels.checks import check_labels
    from stores.labels.local import LocalLabelStore

    store, kafka = visit.settings.feature_store, visit.settings.kafka
    assert isinstance(store, LocalStore)
    visit.label_topic = kafka.label_topic or kafka.topic
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


def _group(visit: Visit, labels: LabelGroup) -> Finding:
    from stores.hopsworks.groups import differences, find_group, unreadable_offline

    try:
        visit.label_group = group = find_group(visit.session, labels)
    except NotThere as error:
        return failed(str(error), "docs/labels.md makes one in ten lines; or see RETRAINER_LABELS__NAME and __VERSION")
    if found := differences(group, labels):
        return failed("; ".join(found), _COLUMNS)
    store = visit.settings.feature_store
    reads_offline = not group.online_enabled or (isinstance(store, HopsworksStore) and store.snapshot == "offline")
    if reads_offline and (why := unreadable_offline(group)):
        return failed(why, "make the group with time travel, or set RETRAINER_FEATURE_STORE__SNAPSHOT=online")
    return _told(visit, labels, group)


def _told(visit: Visit, labels: LabelGroup, group: Any) -> Finding:
    """The group is well; is somebody told of its changes?"""
    kafka = visit.settings.kafka
    has = f"{labels.name}, version {labels.version}, number {group.id}, has the columns"
    if not group.online_enabled:
        visit.label_topic = kafka.label_topic or f"{labels.name}_changes"
        return ok(f"{has}; it is offline-only, and `retrainer bridge --labels` tells its changes")
    told = group.notification_topic_name or None
    if kafka.source == "ingestion":
        visit.label_topic = kafka.label_topic or getattr(group, "_online_topic_name", None) or group.topic_name
        return ok(f"{has}; its changes are read from the ingestion topic")
    if told is None:
        return failed(f"{has}, but it tells nobody of its changes", f"{_SETUP} (makes the topic and sets it; {_DELAY})")
    visit.label_topic = kafka.label_topic or told
    if visit.label_topic != told:
        return warning(
            f"{has}; it tells its changes to {told}, but RETRAINER_KAFKA__LABEL_TOPIC is {visit.label_topic}",
            f"unset RETRAINER_KAFKA__LABEL_TOPIC, or {_SETUP} --replace ({_DELAY})",
        )
    return ok(f"{has}, and tells its changes to {told}")


def _topic(visit: Visit, labels: LabelGroup) -> Finding:
    topic = visit.label_topic
    with admin(visit.kafka) as client:
        (described,) = client.describe_topics([topic])
    if not described["error_code"]:
        return ok(f"{topic}, with {len(described['partitions'])} partitions")
    make = _SETUP if visit.has_cluster else "make it, or set RETRAINER_KAFKA__LABEL_TOPIC"
    return failed(f"there is no topic {topic} for labels of {labels.name}, or it may not be read", make)
