"""All checks, in an order in which each builds on earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from consumer.kafka.refusals import without_secrets
from consumer.settings import Settings
from retrainer.doctor.checks import Check, Result, Severity, unused
from retrainer.doctor.cluster import KEY, PROJECT, REACHED, VERSIONS, cluster_checks
from retrainer.doctor.context import CheckContext
from retrainer.doctor.device import device_checks
from retrainer.doctor.features import QUERY, READ, VIEW, feature_checks
from retrainer.doctor.group import NOTIFICATION, ONLINE, group_checks
from retrainer.doctor.kafka import kafka_checks
from retrainer.doctor.labels import label_checks, label_rows_check
from retrainer.doctor.lookup import Lookup
from retrainer.doctor.machine import LEDGER, machine_checks
from retrainer.doctor.notifications import notification_checks
from retrainer.doctor.promise import promise_checks
from retrainer.doctor.ray import ray_checks
from retrainer.doctor.registry import registry_check
from retrainer.doctor.runner import Runner
from retrainer.doctor.settings import settings_check
from stores.hopsworks.deadline import within
from stores.hopsworks.secrets import redacted

BUDGET = 55.0  # seconds for everything: a person waits
_GOODBYE = 2.0


class Examination:
    """One run of the doctor: `results` runs the checks; `wrong_settings` and `hanging` say how the run ended."""

    def __init__(self, load: Callable[[], Settings], budget: float = BUDGET, *, try_writing: bool = False) -> None:
        self._settings = Lookup(load)
        self._context = Lookup(lambda: CheckContext(self._settings(), try_writing=try_writing))
        self._runner = Runner(budget, self._redacted)
        self.wrong_settings = False

    @property
    def hanging(self) -> bool:
        """Whether an abandoned check still runs, and would delay the end of the process."""
        return self._runner.hanging

    def results(self) -> Iterator[Result]:
        """The results, each as soon as it is there; without settings only the first."""
        (settings,) = self._runner.run([settings_check(self._settings)])
        yield settings
        self.wrong_settings = settings.severity is Severity.FAILED
        if self.wrong_settings:
            return
        context = self._context()
        try:
            yield from self._runner.run(_checks(context))
        finally:
            with suppress(TimeoutError):  # a hanging check may hold the session, which then ends with the process
                within(_GOODBYE, context.end)

    def _redacted(self, text: str) -> str:
        settings, context = self._settings.known, self._context.known
        connection = context.connection.known if context else None
        kafka = connection.kafka if connection else settings.kafka if settings else None
        return redacted(text) if kafka is None else without_secrets(redacted(text), kafka)


def _checks(context: CheckContext) -> Iterator[Check]:
    no_cluster = "not used: RETRAINER_HOPSWORKS__HOST names no cluster"
    yield from cluster_checks(context) if context.has_cluster else _unused(no_cluster, REACHED, KEY, VERSIONS, PROJECT)
    yield from group_checks(context)
    if not context.has_cluster:
        yield from _unused(no_cluster, ONLINE, NOTIFICATION)
    yield from kafka_checks(context)
    if context.settings.labels is not None:
        yield from label_checks(context, context.settings.labels)
    # Before the reads: a read that hangs would hold the session.
    yield registry_check(context)
    if context.reads_from_cluster:
        yield from feature_checks(context)
        if context.settings.labels is not None:
            yield label_rows_check(context, context.settings.labels)
    else:
        yield from _unused("not used: the feature store is local", QUERY, VIEW, READ)
    yield from notification_checks(context)
    yield from ray_checks(context)
    yield from device_checks(context)
    yield from machine_checks(context)
    yield from promise_checks(context, needs=(LEDGER,))


def _unused(why: str, *names: str) -> Iterator[Check]:
    for name in names:
        yield Check(name, lambda: unused(why))
