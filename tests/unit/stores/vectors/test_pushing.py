"""Whatever is killed on the way, the next push leaves the index as the set is, and the switch is one step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.jobs.vectors import PUSHED_FILE, Origin, current_set, is_pushed
from stores.vectors.blocks import VectorBlock
from stores.vectors.index import IndexSpace
from stores.vectors.pushing import push
from tests.unit.stores.vectors.made import publish


class KilledError(Exception):
    """Stands for the end of the process."""


class Index:
    """An index in memory, whose user is killed after so many requests."""

    def __init__(self) -> None:
        self.held: dict[int, IndexSpace] = {}
        self.rows: dict[int, dict[str, int]] = {}
        self.left: int | None = None
        self.written = 0

    def spaces(self) -> list[IndexSpace]:
        return [self.held[number] for number in sorted(self.held)]

    def create(self, origin: Origin, dimension: int) -> IndexSpace:  # noqa: ARG002
        self._request()
        number = max(self.held, default=0) + 1
        self.held[number], self.rows[number] = IndexSpace(number, origin, complete=False), {}
        return self.held[number]

    def upsert(self, space: IndexSpace, block: VectorBlock) -> None:
        self._request()
        self.written += len(block.users)
        self.rows[space.number] |= dict(zip(block.users, block.hashes.tolist(), strict=True))

    def remove(self, space: IndexSpace, users: Sequence[str]) -> None:
        self._request()
        for user in users:
            self.rows[space.number].pop(user, None)

    def complete(self, space: IndexSpace, origin: Origin) -> None:
        self._request()
        self.held[space.number] = IndexSpace(space.number, origin, complete=True)

    def delete(self, space: IndexSpace) -> None:
        self._request()
        del self.held[space.number], self.rows[space.number]

    def counts(self) -> IndexSpace | None:
        return max((one for one in self.held.values() if one.complete), key=lambda one: one.number, default=None)

    def _request(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KilledError


def folder_of(out: Path) -> Path:
    found = current_set(out)
    assert found is not None
    return found


rows = st.dictionaries(st.sampled_from([f"u{number}" for number in range(8)]), st.integers(0, 3), min_size=1)
steps = st.lists(st.tuples(st.integers(1, 3), rows, st.none() | st.integers(0, 6)), min_size=1, max_size=5)


@given(steps=steps)
@settings(deadline=None, max_examples=60)
def test_the_index_is_as_the_set_whatever_was_killed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, dict[str, int], int | None]]
) -> None:
    out, index = tmp_path_factory.mktemp("sets"), Index()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stores.vectors.pushing.BLOCK", 2)
        patch.setattr("stores.files.os.fsync", lambda _handle: None)
        for at, (version, held, dies_after) in enumerate(steps):
            publish(out, version, held, removed=None, at=at)
            before = index.counts()
            index.left = dies_after
            try:
                push(index, "g", folder_of(out))
            except KilledError:
                counts = index.counts()
                if counts is not None and before is not None and counts.number != before.number:
                    assert index.rows[counts.number] == held  # killed after the switch
                continue
            finally:
                index.left = None
            check(index, out, version, held)
        push(index, "g", folder_of(out))
        check(index, out, version, held)


def check(index: Index, out: Path, version: int, held: dict[str, int]) -> None:
    """The index is as the set, and nothing else is left there but the space before."""
    counts = index.counts()
    assert counts is not None
    assert counts.origin is not None
    assert counts.origin.version == version
    assert index.rows[counts.number] == held
    assert is_pushed(out, "g")
    assert len(index.held) <= 3


def test_only_changes_are_written_while_the_towers_stay(tmp_path: Path) -> None:
    index = Index()
    held = {f"u{number}": number for number in range(20)}
    publish(tmp_path, 1, held, at=1)
    push(index, "g", folder_of(tmp_path))
    publish(tmp_path, 1, held | {"u3": 99}, at=2)
    assert push(index, "g", folder_of(tmp_path)).number == 1
    assert index.written == 21
    assert not is_pushed(tmp_path, "another")
    publish(tmp_path, 2, held, at=3)
    assert push(index, "g", folder_of(tmp_path)).number == 2
    assert index.written == 41
    assert list(index.held) == [1, 2]
    publish(tmp_path, 2, held | {"u3": 99}, at=4)
    push(index, "g", folder_of(tmp_path))
    assert list(index.held) == [2]


def test_the_space_before_goes_at_once_where_users_were_removed(tmp_path: Path) -> None:
    index = Index()
    publish(tmp_path, 1, {"u1": 1, "u2": 2}, at=1)
    push(index, "g", folder_of(tmp_path))
    publish(tmp_path, 2, {"u1": 1}, removed=1, at=2)
    push(index, "g", folder_of(tmp_path))
    assert list(index.held) == [2]


def test_lost_notes_cost_a_new_space_and_groups_of_others_stay(tmp_path: Path) -> None:
    index = Index()
    index.held[1], index.rows[1] = IndexSpace(1, None, complete=True), {}
    publish(tmp_path, 1, {"u1": 1}, at=1)
    for text in (None, "{", json.dumps({"group": "g", "number": 1, "set": "x"}), json.dumps([])):
        if text is not None:
            (tmp_path / PUSHED_FILE).write_text(text)
        push(index, "g", folder_of(tmp_path))
    assert list(index.held) == [1, 4, 5]


def test_who_came_with_a_push_that_was_killed_does_not_stay_for_ever(tmp_path: Path) -> None:
    index = Index()
    publish(tmp_path, 1, {"u1": 1, "u2": 2}, at=1)
    push(index, "g", folder_of(tmp_path))
    publish(tmp_path, 1, {"u1": 1, "u3": 3}, removed=1, at=2)
    index.left = 1  # u3 is written, u2 not removed, and nothing noted
    with pytest.raises(KilledError):
        push(index, "g", folder_of(tmp_path))
    index.left = None
    publish(tmp_path, 1, {"u1": 1}, removed=1, at=3)
    assert index.rows[push(index, "g", folder_of(tmp_path)).number] == {"u1": 1}
