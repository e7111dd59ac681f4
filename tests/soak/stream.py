"""What goes on in the feature store all the time, and on a topic that others use too.

Every few seconds some listeners change, a few leave and a few come back; the same ones are committed again and again
until the next, as a pipeline does that writes more than has changed. So the topic carries many events of few users.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaProducer
from kafka.errors import KafkaError

from retrainer.demo.waves import Wave
from retrainer.relay import Relay
from schemas.events import encode
from schemas.features import FeatureGroup
from stores.features.local import LocalFeatureStore
from tests.soak.crowd import Crowd

GROUP = FeatureGroup()
OTHER_GROUP = FeatureGroup(name="songs")
LISTENER_KEY, OTHER_KEY, GARBAGE_KEY = b"listener-", b"song-", b"garbage-"
"""How the keys of the three kinds of records begin."""

_WAVE_EVERY = 5
_COMMITS = 3
"""How often in a second the users of the wave are committed."""
_OTHERS = 5
_GARBAGE_EVERY = 10
_CHANGING, _COMING = 20, 3


class Stream(threading.Thread):
    """Commits and publishes from `start` to `stop`, once a second; it makes up for seconds that it was late.

    Args:
        store: the file of the feature store, filled by `fill` before.
        crowd: who is in it.
        broker: where to publish.
        topic: to which topic.
        reachable: asked before publishing; what cannot be published waits in the store.
    """

    def __init__(self, store: Path, crowd: Crowd, broker: str, topic: str, reachable: Callable[[], bool]) -> None:
        super().__init__(name="stream", daemon=True)
        self._path = store
        self._crowd = crowd
        self._broker = broker
        self._topic = topic
        self._reachable = reachable
        self._ended = threading.Event()
        self._producer: KafkaProducer | None = None
        self.failure: BaseException | None = None

    def stop(self) -> None:
        """No more commits; returns when all that was committed is published."""
        self._ended.set()
        self.join(120)
        if self.is_alive():
            raise AssertionError("what was committed could not be published within two minutes")
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        try:
            self._run(LocalFeatureStore(self._path, GROUP))
        except BaseException as error:  # noqa: BLE001  (the main thread asks for it)
            self.failure = error

    def _run(self, store: LocalFeatureStore) -> None:
        began, second, wave = time.monotonic(), 0, Wave("")
        while not self._ended.wait(max(0.0, began + second - time.monotonic())):
            if second % _WAVE_EVERY == 0:
                wave = self._crowd.wave(_CHANGING, _COMING)
                store.commit(wave.upserts, wave.deletes)
            for _ in range(_COMMITS):
                store.commit(wave.upserts)
            self._publish(store, second)
            second += 1
        while not self._publish(store, None):
            time.sleep(0.5)
        store.close()

    def _publish(self, store: LocalFeatureStore, second: int | None) -> bool:
        """All that waits in the store, and in a numbered second what others send; False where the broker is away."""
        if not self._reachable():
            return False
        try:
            self._producer = self._producer or KafkaProducer(
                bootstrap_servers=self._broker,
                acks="all",
                delivery_timeout_ms=10_000,
                request_timeout_ms=5_000,
                max_block_ms=5_000,
            )
            Relay(store, self._producer, self._topic).publish()
            if second is not None:
                self._others(self._producer, second)
        except KafkaError:
            if self._producer is not None:
                self._producer.close(timeout=1)
            self._producer = None
            return False
        return True

    def _others(self, producer: KafkaProducer, second: int) -> None:
        """Events of another group, and now and then bytes that nobody can read."""
        for number in range(_OTHERS):
            key = f"song-{second * _OTHERS + number}"
            producer.send(self._topic, key=key.encode(), value=encode(OTHER_GROUP, key))
        if second % _GARBAGE_EVERY == 0:
            producer.send(self._topic, key=GARBAGE_KEY + str(second).encode(), value=b"\x00\x01 no event")
        producer.flush(timeout=10)


def fill(store: Path, crowd: Crowd) -> None:
    """Everybody who is there at the beginning; their events wait in the store."""
    filled = LocalFeatureStore(store, GROUP)
    filled.commit(crowd.initial().upserts)
    filled.close()
