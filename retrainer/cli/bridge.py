"""`retrainer bridge`: change events for a feature group that sends none."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer

from consumer.connection import connected
from consumer.deadline import HELP, WITHOUT_PROGRESS, Deadline
from consumer.errors import SettingsError
from consumer.lock import only_one
from consumer.logs import configure
from consumer.settings import Settings, load_settings
from consumer.stopping import on_stop
from retrainer.bridge.bridge import Bridge
from retrainer.bridge.errors import BridgeError
from retrainer.bridge.orders import Orders
from retrainer.bridge.ports import Link
from retrainer.bridge.publishing import KafkaTopic
from retrainer.bridge.state import BridgeState
from retrainer.cli import FAILED
from schemas.events import Group
from schemas.hopsworks import HopsworksStore
from schemas.log_events.bridge import BRIDGE_INTERRUPTED, BRIDGE_STARTED, BRIDGE_STOPPED

log = structlog.get_logger()

_TURN = 0.2
_LATE = "the bridge heard nothing from the cluster, or from the brokers,"
_GRACE = 5.0  # a request under way may take longer; nothing is lost by leaving it


def bridge(
    publish_existing: Annotated[
        bool, typer.Option("--publish-existing", help="On a first run: publish every user, instead of a baseline.")
    ] = False,
    new_baseline: Annotated[
        bool, typer.Option("--new-baseline", help="Begin again after the state was lost; train in full after that.")
    ] = False,
    accept_deletes: Annotated[
        bool, typer.Option("--accept-deletes", help="Believe the first comparison, however many users it deletes.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Compare once, then exit.")] = False,
    labels: Annotated[bool, typer.Option("--labels", help="Watch the label group instead of the users'.")] = False,
    timeout: Annotated[float, typer.Option(min=0.0, help=f"With --once. {HELP}")] = WITHOUT_PROGRESS,
) -> None:
    """Watch the commits of an offline-only feature group and publish its changes, until asked to stop.

    Its topic, and the service's, is `RETRAINER_KAFKA__TOPIC`, with `RETRAINER_KAFKA__SOURCE=bridge` for both; that of
    labels is `RETRAINER_KAFKA__LABEL_TOPIC`. A first run takes a baseline and creates the topic; see docs/bridge.md.
    With --once it ends with exit code 1 when nothing goes on for --timeout seconds, or for as long as a snapshot may
    take (RETRAINER_FEATURE_STORE__QUERY_TIMEOUT) where that is longer; what was found is kept.
    """
    if publish_existing and new_baseline:
        raise SettingsError("--publish-existing and --new-baseline exclude each other")
    settings = load_settings()
    configure(settings.log)
    _refuse_what_needs_none(settings, labels)
    on_stop(lambda _signal: sys.exit(0))  # while it waits for the cluster
    with only_one(folder := _folder(settings, labels)):
        orders = Orders(publish_existing, new_baseline, accept_deletes)
        settings = connected(settings, deadline=Deadline(timeout if once else 0))
        _Worker(settings, folder, orders, once, labels, _deadline(settings, timeout if once else 0)).work()


class _Worker(threading.Thread):
    """The bridge's thread. Signals are met by the main thread, as a request can keep this one for long."""

    def __init__(
        self, settings: Settings, folder: Path, orders: Orders, once: bool, labels: bool, deadline: Deadline
    ) -> None:
        super().__init__(name="bridge", daemon=True)
        self._settings = settings
        self._folder = folder
        self._orders = orders
        self._once = once
        self._labels = labels
        self._deadline = deadline
        self._stopping = threading.Event()
        self._failure: BaseException | None = None

    def work(self) -> None:
        """Run until it ends, or a signal comes.

        Raises:
            TimedOut: it is to look once, and nothing went on for too long.
            Whatever ended the bridge.
        """
        signals: list[int] = []  # setting an event in a signal handler can deadlock
        on_stop(signals.append)
        self.start()
        while self.is_alive() and not signals and self._deadline.left > 0.0:
            self.join(_TURN)
        late = self.is_alive() and not signals
        self._stopping.set()
        self.join(_GRACE)
        if late and self.is_alive():
            print(f"retrainer: {_LATE} for {self._deadline.seconds:g} s (--timeout)", file=sys.stderr, flush=True)
            os._exit(FAILED)  # as below
        if late:
            self._deadline.check(_LATE)
        if self.is_alive():
            log.info(BRIDGE_INTERRUPTED)
            sys.stderr.flush()
            os._exit(0)  # the SDK's way out would wait for that request
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """Watch, and close everything."""
        settings = self._settings
        group, kafka = _watched(settings, self._labels), settings.kafka
        topic = kafka.label_topic if self._labels else kafka.topic
        try:
            with closing(BridgeState(self._folder / "state.db")) as state:
                log.info(BRIDGE_STARTED, group=group.name, version=group.version, topic=topic)
                link, moved = partial(_link, settings, group), self._deadline.moved
                bridge = Bridge(settings.bridge, state, link, self._orders, self._stopping, moved=moved)
                if self._once:
                    bridge.once()
                else:
                    bridge.run()
                log.info(BRIDGE_STOPPED)
        except BaseException as error:  # noqa: BLE001  (the main thread raises it)
            self._failure = error


def _refuse_what_needs_none(settings: Settings, labels: bool) -> None:
    if settings.hopsworks is None or not isinstance(settings.feature_store, HopsworksStore):
        raise SettingsError(
            "the bridge watches a feature group of Hopsworks: set RETRAINER_HOPSWORKS__HOST and __PROJECT; a local"
            " store announces its changes itself"
        )
    if labels and settings.labels is None:
        raise SettingsError("no label group is named: set RETRAINER_LABELS__NAME")
    if not labels and settings.kafka.source != "bridge":
        raise SettingsError(
            f"RETRAINER_KAFKA__SOURCE is {settings.kafka.source}; set it to bridge, here and for the service"
        )


def _deadline(settings: Settings, timeout: float) -> Deadline:
    """For the comparison. A snapshot shows no progress before it is there, and has a limit of its own."""
    assert isinstance(settings.feature_store, HopsworksStore)
    return Deadline(max(timeout, settings.feature_store.query_timeout) if timeout else 0)


def _watched(settings: Settings, labels: bool) -> Group:
    if not labels:
        return settings.feature_group
    assert settings.labels is not None
    return settings.labels


def _folder(settings: Settings, labels: bool) -> Path:
    """Where the state of the group is kept; its lock says that there is one bridge a group."""
    group = _watched(settings, labels)
    return settings.state_dir / "bridge" / f"{group.name}_{group.version}"


def _link(settings: Settings, group: Group) -> Link:
    from stores.hopsworks.commits import GroupCommits
    from stores.hopsworks.group_reader import GroupReader
    from stores.hopsworks.session import session_with

    assert settings.hopsworks is not None
    assert isinstance(settings.feature_store, HopsworksStore)
    session = session_with(settings.hopsworks)
    commits = GroupCommits(session, group)
    if commits.online_enabled:
        raise BridgeError(f"group {group.name} is online-enabled and announces its changes itself; no bridge is needed")
    return Link(
        group=group,
        commits=commits,
        store=GroupReader(session, settings.feature_store, group),
        topic=KafkaTopic(settings.kafka, group, settings.bridge.partitions),
    )
