"""Whatever is committed and wherever the bridge dies: what a service learns from the events is what the store holds."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.configuration.bridge import BridgeSettings
from retrainer.bridge.errors import BridgeError
from retrainer.bridge.orders import Orders
from retrainer.bridge.state import BridgeState
from schemas.events import Operation
from tests.unit.retrainer.bridge.bridging import IN_MEMORY, Bench

users = st.sampled_from([f"u{number}" for number in range(9)])
rows = st.dictionaries(users, st.integers(0, 3).map(float), max_size=9)


@dataclass(frozen=True)
class Step:
    """A commit, and one look at the group by a bridge that was started for it."""

    upserts: dict[str, float]
    deletes: list[str]
    fails_at: list[int | None]  # of the publications, how many events are written before one fails
    breaks_after: int | None  # rows of the snapshot
    store_fails_at: int | None  # of the transactions that mark, store or remove users
    meanwhile: dict[str, float]  # committed while the snapshot is read


def seldom(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    """Trouble of one kind must leave others room to be met."""
    return st.one_of(st.none(), st.none(), strategy)


steps = st.builds(
    Step,
    upserts=st.one_of(st.just({}), rows),
    deletes=st.lists(users, max_size=5),
    fails_at=st.lists(st.one_of(st.none(), st.integers(0, 2)), max_size=6),
    breaks_after=seldom(st.integers(0, 8)),
    store_fails_at=seldom(st.integers(1, 8)),
    meanwhile=st.one_of(st.just({}), rows),
)


@pytest.mark.full
@settings(max_examples=400, deadline=None)
@given(first=rows, history=st.lists(steps, max_size=6), publish=st.booleans())
def test_no_change_is_lost_wherever_it_dies(first: dict[str, float], history: list[Step], publish: bool) -> None:
    state = Mortal(IN_MEMORY)
    bench = Bench(BridgeSettings(chunk=2, max_deleted_share=1.0), state=state)
    bench.group.commit(first)
    for step in history:
        play(bench, state, step, publish)
    bench.group.broken_after, bench.topic.failing = None, []
    bench.bridge(Orders(publish_existing=publish)).once()
    assert bench.topic.learned == bench.group.rows
    seen = len(bench.topic.events)
    bench.bridge().once()
    assert len(bench.topic.events) == seen, "an event without a commit"


def play(bench: Bench, state: Mortal, step: Step, publish: bool) -> None:
    bench.group.commit(step.upserts, step.deletes)
    bench.group.broken_after = step.breaks_after
    bench.topic.failing = list(step.fails_at)
    if step.meanwhile:
        bench.group.meanwhile = lambda: bench.group.commit(step.meanwhile)
    state.dies_at = step.store_fails_at
    with suppress(BridgeError, Crash):
        bench.bridge(Orders(publish_existing=publish)).once()
    bench.group.meanwhile = state.dies_at = None


class Crash(BaseException):
    """The process dies between two steps."""


class Mortal(BridgeState):
    """A state whose process dies instead of writing, at one of the next transactions."""

    dies_at: int | None = None

    def store(self, hashes: Iterable[tuple[str, bytes]]) -> list[int]:
        self._live()
        return super().store(hashes)

    def remove(self, ids: Iterable[int]) -> None:
        self._live()
        super().remove(ids)

    def _live(self) -> None:
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at == 0:
                raise Crash


@settings(max_examples=100, deadline=None)
@given(before=rows, after=rows)
def test_events_are_exactly_the_differences(before: dict[str, float], after: dict[str, float]) -> None:
    bench = Bench(BridgeSettings(chunk=2, max_deleted_share=1.0))
    bench.group.commit(before)
    bench.bridge().once()
    bench.group.commit(after, before.keys() - after.keys())
    bench.bridge().once()
    changed = {key for key in after if before.get(key) != after[key]}
    told = [(change.key, change.operation) for change, _ in bench.topic.events]
    assert len(told) == len(set(told))
    assert {key for key, operation in told if operation is Operation.UPSERT} == changed
    assert {key for key, operation in told if operation is Operation.DELETE} == before.keys() - after.keys()
    assert {commit for _, commit in bench.topic.events} <= {bench.group.ids[-1]}
