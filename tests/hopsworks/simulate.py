"""The demo's simulator on a Hopsworks cluster, its bug included: one wave a line on standard input, by the SDK.

    python -m tests.hopsworks.simulate USERS [LOG]

It takes the cluster from the service's settings, as `retrainer simulate` takes the local store.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from consumer.demo.lastfm import LastfmListeners
from consumer.demo.listeners import GeneratedListeners
from consumer.demo.simulator import Simulator, run
from consumer.demo.upstream_bug import WithUpstreamBug
from consumer.demo.waves import Listeners, Row
from consumer.logs import configure
from consumer.settings import load_settings
from tests.hopsworks.writer import SdkWriter
from trainer.hopsworks.session import end_session, session_with


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


def main() -> None:
    """Run until standard input ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = load_settings()
    configure(settings.log)
    assert settings.hopsworks is not None
    users, *log = sys.argv[1:]
    source: Listeners = LastfmListeners(Path(log[0]), 0) if log else GeneratedListeners(int(users), 0)
    store = ClusterStore(SdkWriter(session_with(settings.hopsworks), settings.feature_group))
    try:
        simulator = Simulator(WithUpstreamBug(source), store, store, settings.state_dir / "waves")
        run(simulator, sys.stdin, lambda committed: print(json.dumps(asdict(committed)), flush=True))
    except KeyboardInterrupt:
        return
    finally:
        end_session()


if __name__ == "__main__":
    main()
