"""The demo's simulator on a Hopsworks cluster, bug and spam included: one wave a line on standard input, by the SDK.

    python -m tests.hopsworks_double.demo.simulate USERS [LOG]

It takes the cluster from the service's settings, as `retrainer simulate` takes the local store; where they name a label
group, the listeners follow each other.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from consumer.logs import configure
from consumer.settings import load_settings
from retrainer.demo.audience import GeneratedAudience
from retrainer.demo.friends import friends_beside
from retrainer.demo.lastfm import LastfmAudience
from retrainer.demo.simulator import Simulator, run
from retrainer.demo.spam import WithSpam
from retrainer.demo.upstream_bug import WithUpstreamBug
from retrainer.demo.waves import Audience, Row
from schemas.labels import PairKey
from stores.hopsworks.session import end_session, session_with
from stores.labels.local import Label
from tests.hopsworks_double.clients.writer import SdkLabelWriter, SdkWriter


class ClusterStore:
    """Both ends that the simulator needs: what it commits is announced by the cluster itself."""

    def __init__(self, writer: SdkWriter) -> None:
        self._writer = writer
        self._users: set[str] = set()
        self._written = 0

    def commit(self, upserts: Mapping[str, Row], deletes: Iterable[str] = ()) -> None:
        gone = set(deletes)
        self._writer.commit(upserts, gone)
        self._users = (self._users | upserts.keys()) - gone
        self._written += len(upserts) + len(gone)

    def count(self) -> int:
        return len(self._users)

    def publish(self) -> int:
        written, self._written = self._written, 0
        return written


class ClusterFollows:
    """Who follows whom, in the label group; as with users the cluster itself announces it."""

    def __init__(self, writer: SdkLabelWriter) -> None:
        self._writer = writer
        self._written = 0

    def commit(self, follows: Iterable[PairKey], unfollows: Iterable[PairKey] = ()) -> None:
        now, gone = time.time(), list(unfollows)
        labels = {pair: Label("follow", now) for pair in follows}
        self._writer.commit(labels, gone)
        self._written += len(labels) + len(gone)

    def publish(self) -> int:
        written, self._written = self._written, 0
        return written


def main() -> None:
    """Run until standard input ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = load_settings()
    configure(settings.log)
    assert settings.hopsworks is not None
    users, *log = sys.argv[1:]
    labels, session = settings.labels, session_with(settings.hopsworks)
    source = _source(int(users), Path(log[0]) if log else None, following=labels is not None)
    store = ClusterStore(SdkWriter(session, settings.feature_group))
    follows = None if labels is None else ClusterFollows(SdkLabelWriter(session, labels))
    try:
        spoilt = WithSpam(WithUpstreamBug(source))
        simulator = Simulator(spoilt, store, store, settings.state_dir / "waves", follows)
        run(simulator, sys.stdin, lambda committed: print(json.dumps(asdict(committed)), flush=True))
    except KeyboardInterrupt:
        return
    finally:
        end_session()


def _source(users: int, log: Path | None, *, following: bool) -> Audience:
    if log is None:
        return GeneratedAudience(users, 0, following=following)
    return LastfmAudience(log, 0, friends=friends_beside(log) if following else None)


if __name__ == "__main__":
    main()
