"""Long arrays are the same in memory and in files, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.scratch import IN_MEMORY, MEMORY, Scratch


@given(parts=st.lists(st.lists(st.integers(-9, 9), max_size=20), max_size=8), in_memory=st.sampled_from([0, 40, 10**6]))
def test_what_was_appended_is_read_in_order_and_can_be_changed(parts: list[list[int]], in_memory: int) -> None:
    with TemporaryDirectory() as folder:
        for scratch in (MEMORY, Scratch(Path(folder), in_memory)):
            growing = scratch.growing(np.int64)
            for part in parts:
                growing.append(np.array(part, dtype=np.int64))
            assert len(growing) == sum(map(len, parts))
            found = growing.array()
            assert found.tolist() == [number for part in parts for number in part]
            found.sort()
            assert found.tolist() == sorted(found.tolist())
        assert list(Path(folder).iterdir()) == []


def test_an_appended_array_may_change_afterwards(tmp_path: Path) -> None:
    growing, values = Scratch(tmp_path).growing(np.float32), np.ones(3, np.float32)
    growing.append(values)
    values[:] = 2
    assert growing.array().tolist() == [1, 1, 1]


def test_zeros_are_zeros_and_lie_in_a_file_only_where_they_are_many(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, in_memory=100)
    few, many = scratch.zeros((5, 5), np.float32), scratch.zeros((5, 6), np.float32)
    assert not isinstance(few.base, np.memmap)
    assert isinstance(many.base, np.memmap)
    for array in (few, many, scratch.zeros((0, 7), np.float32)):
        assert not array.any()
        array[:] = 3
    assert list(tmp_path.iterdir()) == []


def test_room_is_beside_a_mapped_file_and_else_in_memory(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "rows", dtype=np.float32, mode="w+", shape=(4, 4))
    size = (IN_MEMORY // 4 + 1,)
    assert isinstance(Scratch.beside(mapped).zeros(size, np.float32).base, np.memmap)
    assert not isinstance(Scratch.beside(np.zeros((4, 4), np.float32)).zeros(size, np.float32).base, np.memmap)


def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stores.scratch.take_room", full)
    with pytest.raises(OSError, match="No space"):
        Scratch(tmp_path, 0).zeros((2,), np.int64)
    assert list(tmp_path.iterdir()) == []
