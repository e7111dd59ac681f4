"""Graphs that lie on disk and are gone through in blocks: the same arrays, bit for bit, as those made in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.fault_points import POINT_VARIABLE, Point
from schemas.policies import PairPolicy
from stores.scratch import Scratch
from tests.models.pairs.test_graph import KINDS, ROWS, THRESHOLD, World, rows_of, steps
from trainer.pairs import graph, links, nearest
from trainer.pairs.graph import Graph, common, update_graph
from trainer.pairs.graph_file import PAIRS_FILE, store_graph, stored_graph


@contextmanager
def blocks_of(rows: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (links, nearest):
            patch.setattr(module, "ROWS_AT_A_TIME", rows)
        patch.setattr(graph, "_CODES_AT_A_TIME", 2 * rows)
        yield


def same(one: Graph, other: Graph) -> None:
    for mine, its in zip(one.arrays().items(), other.arrays().items(), strict=True):
        assert mine[0] == its[0]
        assert mine[1].dtype == its[1].dtype
        np.testing.assert_array_equal(mine[1], its[1], err_msg=mine[0])


@given(
    history=st.lists(steps, min_size=1, max_size=4),
    cap=st.sampled_from([None, 1, 2, 7]),
    kind=st.sampled_from(KINDS),
    rows=st.sampled_from([1, 3, 16, 1000]),
    in_memory=st.sampled_from([0, 100, 10**6]),
)
@settings(max_examples=40, deadline=None)
def test_a_graph_on_disk_is_the_one_in_memory(
    history: list[tuple[list[int], str]], cap: int | None, kind: str, rows: int, in_memory: int
) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=cap, threads=1)
    world = World(policy)
    world.change(np.arange(ROWS), rows_of(kind, 0, ROWS))
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("stores.files.os.fsync", lambda _handle: None)
        folder = Path(name)
        store_graph(folder, policy, world.graph.arrays())
        for number, (chosen, how) in enumerate(history):
            mapped = Graph.of(policy, (stored_graph(folder) or pytest.fail("it was stored"))[1])
            same(mapped, world.graph)
            changed, scratch, before = np.array(chosen, dtype=np.int64), Scratch(folder, in_memory), world.graph.codes()
            update = world.change(
                changed, rows_of(kind, number, len(chosen)) * np.float32(how != "zero"), delete=how == "delete"
            )
            with blocks_of(rows):
                ours = update_graph(mapped, world.last_view, changed, policy, scratch=scratch)
                same(ours.graph, update.graph)
                assert (ours.mined, ours.refilled) == (update.mined, update.refilled)
                codes, half = ours.graph.codes(scratch=scratch), np.arange(len(world.directions)) % 2 == 0
                np.testing.assert_array_equal(codes, world.graph.codes())
                np.testing.assert_array_equal(ours.graph.codes(half, scratch), world.graph.codes(half))
                assert common(before, codes) == common(codes, before) == len(np.intersect1d(before, codes))
                named = {int(row) for pair in world.graph.pairs() for row in pair}
                assert named <= set(ours.graph.rows().tolist())
            store_graph(folder, policy, ours.graph.arrays())


def test_what_is_mapped_stays_as_it_was_when_another_graph_takes_its_place(tmp_path: Path) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=3)
    world = World(policy)
    world.change(np.arange(ROWS), rows_of("clusters", 0, ROWS))
    before = world.graph
    store_graph(tmp_path, policy, before.arrays())
    mapped = Graph.of(policy, (stored_graph(tmp_path) or pytest.fail("it was stored"))[1])
    world.change(np.arange(9), rows_of("clusters", 1, 9))
    store_graph(tmp_path, policy, world.graph.arrays())
    same(mapped, before)
    again = stored_graph(tmp_path)
    assert again is not None
    assert again[0] == policy
    same(Graph.of(policy, again[1]), world.graph)


def test_a_graph_of_an_earlier_release_is_read_and_goes_away_when_it_is_stored(tmp_path: Path) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=3)
    world = World(policy)
    world.change(np.arange(ROWS), rows_of("clusters", 0, ROWS))
    arrays: dict[str, Any] = {**world.graph.arrays(), "policy": np.array(policy.model_dump_json())}
    np.savez(tmp_path / "pairs.npz", **arrays)
    found = stored_graph(tmp_path)
    assert found is not None
    assert found[0] == policy
    same(Graph.of(policy, found[1]), world.graph)
    store_graph(tmp_path, policy, world.graph.arrays())
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.bin"]


def test_of_two_graphs_neither_is_believed(tmp_path: Path) -> None:
    """An earlier release that has run since wrote a newer one, and left ours as it was."""
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=3)
    world = World(policy)
    world.change(np.arange(ROWS), rows_of("clusters", 0, ROWS))
    store_graph(tmp_path, policy, world.graph.arrays())
    world.change(np.arange(9), rows_of("clusters", 1, 9))
    newer: dict[str, Any] = {**world.graph.arrays(), "policy": np.array(policy.model_dump_json())}
    np.savez(tmp_path / "pairs.npz", **newer)
    assert stored_graph(tmp_path) is None
    store_graph(tmp_path, policy, world.graph.arrays())
    found = stored_graph(tmp_path)
    assert found is not None
    same(Graph.of(policy, found[1]), world.graph)


def test_a_graph_with_a_damaged_byte_is_none(tmp_path: Path) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=3)
    world = World(policy)
    world.change(np.arange(ROWS), rows_of("clusters", 0, ROWS))
    store_graph(tmp_path, policy, world.graph.arrays())
    whole = (tmp_path / PAIRS_FILE).read_bytes()
    places = [at for at in range(4096, len(whole), 4096) if whole[at]]
    assert len(places) > 2
    for at in [0, 60, *places]:
        (tmp_path / PAIRS_FILE).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert stored_graph(tmp_path) is None, at
    for size in (0, 100, 5000, places[-1]):
        (tmp_path / PAIRS_FILE).write_bytes(whole[:size])
        assert stored_graph(tmp_path) is None, size


def test_a_graph_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=3)
    world = World(policy)
    world.change(np.arange(ROWS), rows_of("clusters", 0, ROWS))
    before = world.graph
    store_graph(tmp_path, policy, before.arrays())
    world.change(np.arange(9), rows_of("clusters", 1, 9))

    def full(_point: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainer.pairs.graph_file.reached", full)
    with pytest.raises(OSError, match="No space"):
        store_graph(tmp_path, policy, world.graph.arrays())
    same(Graph.of(policy, (stored_graph(tmp_path) or pytest.fail("it was stored"))[1]), before)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.bin"]


_STORE_ANOTHER = """
import sys
from pathlib import Path
from trainer.pairs.graph_file import store_graph, stored_graph
policy, arrays = stored_graph(Path(sys.argv[1]))
store_graph(Path(sys.argv[1]), policy, {name: array[:1] for name, array in arrays.items()})
"""


def test_a_kill_in_the_middle_of_writing_leaves_the_graph_before(tmp_path: Path) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=3)
    world = World(policy)
    world.change(np.arange(ROWS), rows_of("clusters", 0, ROWS))
    store_graph(tmp_path, policy, world.graph.arrays())
    command = [sys.executable, "-c", _STORE_ANOTHER, str(tmp_path)]
    killed = subprocess.run(command, env=os.environ | {POINT_VARIABLE: Point.PAIR_HALF}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == [".pairs.bin.new", "pairs.bin"]
    same(Graph.of(policy, (stored_graph(tmp_path) or pytest.fail("it was stored"))[1]), world.graph)
    assert subprocess.run(command, check=False).returncode == 0  # whoever comes next writes over what was left
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.bin"]
    found = stored_graph(tmp_path)
    assert found is not None
    assert len(found[1]["source"]) == 1
