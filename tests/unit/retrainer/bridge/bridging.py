"""A feature group and a topic in memory, and a learner that does with the events what a service does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
from kafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from consumer.clock import Clock
from consumer.configuration.bridge import BridgeSettings
from retrainer.bridge.bridge import Bridge
from retrainer.bridge.orders import Orders
from retrainer.bridge.ports import Commits, Link, TopicState
from retrainer.bridge.state import BridgeState
from schemas.events import Change, Operation
from schemas.features import Column, FeatureGroup
from stores.errors import ClusterUnreachable
from stores.feature_store import FeatureRows

GROUP = FeatureGroup(name="few", columns=(Column(name="taste", length=2), Column(name="year", length=1)))
IN_MEMORY = Path(":memory:")


class Group:
    """The group: a number for each user stands for the whole row."""

    def __init__(self) -> None:
        self.rows: dict[str, float] = {}
        self.ids: list[int] = []
        self.keyless = 0  # rows without a key, in each batch
        self.broken_after: int | None = None  # rows, after which a snapshot breaks off
        self.answers: dict[str, float] | None = None  # what a sick query service says the rows are
        self.meanwhile: Callable[[], None] | None = None  # happens once, while a snapshot is read
        self.snapshots = 0
        self.away = False
        self.read_rows: dict[str, float] = {}  # of the last snapshot

    def commit(self, upserts: Mapping[str, float], deletes: Iterable[str] = ()) -> None:
        self.rows = {**self.rows, **upserts}
        for key in deletes:
            self.rows.pop(key, None)
        self.ids.append(100 + len(self.ids))

    def recent(self) -> Commits:
        if self.away:
            raise ClusterUnreachable("the cluster is away")
        return tuple(self.ids[::-1][:20])

    def check_contract(self) -> None:
        pass

    def snapshot(self, changed: Collection[str]) -> Iterator[FeatureRows]:  # noqa: ARG002  (there is one copy)
        self.snapshots += 1
        self.read_rows = self.rows if self.answers is None else self.answers
        rows = list(self.read_rows.items())
        for start in range(0, max(1, len(rows)), 3):
            if self.broken_after is not None and start >= self.broken_after:
                raise ClusterUnreachable("the stream broke off")
            if self.meanwhile is not None:
                happens, self.meanwhile = self.meanwhile, None
                happens()
            part = rows[start : start + 3]
            blocks = [np.array([number, -number], dtype=np.float32) for _, number in part]
            years = [np.array([number], dtype=np.float32) for _, number in part]
            yield FeatureRows([key for key, _ in part], {"taste": list(blocks), "year": list(years)}, self.keyless)

    def read(self, keys: Sequence[str]) -> FeatureRows:
        raise NotImplementedError

    def count(self) -> int | None:
        return None

    def close(self) -> None:
        pass


@dataclass
class MemoryTopic:
    """The topic. A learner hears of each event at once, and learns the user as in the snapshot that it came from.

    A service may read later rows than these. If they are taken back before the next comparison, it has them until its
    next full retrain: nobody who compares snapshots can see that.
    """

    group: Group
    name: str = "changes"
    found: TopicState = TopicState.MISSING
    events: list[tuple[Change, int]] = field(default_factory=list)
    learned: dict[str, float] = field(default_factory=dict)
    failing: list[int | None] = field(default_factory=list)
    """For the next publications: None for one that works, or how many events are written before it fails."""

    def state(self) -> TopicState:
        return TopicState.USED if self.events and self.found is not TopicState.MISSING else self.found

    def create(self) -> None:
        self.found = TopicState.EMPTY
        self.learned = dict(self.group.read_rows)  # a service that waited for its topic trains now

    def publish(self, changes: Sequence[Change], commit: int) -> None:
        if self.found is TopicState.MISSING:
            raise UnknownTopicOrPartitionError
        assert changes
        written = self.failing.pop(0) if self.failing else None
        for change in changes if written is None else changes[:written]:
            self.events.append((change, commit))
            self.learned.pop(change.key, None)
            if change.key in self.group.read_rows:
                self.learned[change.key] = self.group.read_rows[change.key]
        if written is not None:
            raise KafkaTimeoutError("not acknowledged")

    def close(self) -> None:
        pass

    def told(self) -> list[tuple[str, str]]:
        """The events so far, as (user, operation)."""
        return [(change.key, change.operation.value) for change, _ in self.events]


@dataclass
class Bench:
    """One bridge on a group and a topic, which can be started again and again with the same state."""

    settings: BridgeSettings = BridgeSettings(chunk=2)  # noqa: RUF009  (it is frozen)
    group: Group = field(default_factory=Group)
    state: BridgeState = field(default_factory=lambda: BridgeState(IN_MEMORY))
    now: float = 1_000.0

    def __post_init__(self) -> None:
        self.topic = MemoryTopic(self.group)

    def bridge(self, orders: Orders = Orders()) -> Bridge:  # noqa: B008  (it is frozen)
        """A bridge that has just been started."""
        clock = Clock(lambda: self.now, lambda: self.now)
        return Bridge(self.settings, self.state, self.link, orders, Event(), clock)

    def link(self) -> Link:
        return Link(GROUP, self.group, self.group, self.topic)

    def baseline(self, count: int) -> None:
        """Users `u0`, ..., and a baseline of them."""
        self.group.commit({f"u{number}": float(number) for number in range(count)})
        self.bridge().once()
        assert self.topic.events == []


UPSERT, DELETE = Operation.UPSERT.value, Operation.DELETE.value
