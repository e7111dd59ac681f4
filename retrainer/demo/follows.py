"""Who follows whom, in the label group of the local store: what the simulator writes, and how it is announced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kafka import KafkaProducer

from retrainer.relay import Relay
from schemas.labels import LabelGroup, PairKey
from stores.labels.local import Label, LocalLabelStore

_FOLLOW = "follow"


class LocalFollows:
    """The label group in the store's file, and the relay of its events."""

    def __init__(
        self, path: Path, group: LabelGroup, producer: KafkaProducer, topic: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = LocalLabelStore(path, group)
        self._relay = Relay(self._store, producer, topic)
        self._clock = clock

    def commit(self, follows: Iterable[PairKey], unfollows: Iterable[PairKey] = ()) -> None:
        """See Follows."""
        now = self._clock()
        self._store.commit({pair: Label(_FOLLOW, now) for pair in follows}, unfollows)

    def publish(self) -> int:
        """See Follows."""
        return self._relay.publish()

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()
