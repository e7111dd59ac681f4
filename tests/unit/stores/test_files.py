"""Files that are there whole or not at all, and files that have their room before they are mapped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stores.files import lengthen, replacing


def meet_a_full_disk(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"half of the new")
        raise OSError(errno.ENOSPC, "full")


def test_a_file_that_could_not_be_written_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as file:
        file.write(b"old")
    with pytest.raises(OSError, match="full"):
        meet_a_full_disk(path)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("file", b"old")]


def test_a_file_that_is_lengthened_keeps_what_it_holds_and_has_its_room(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"begin")
    lengthen(path, 1_000_000)
    assert path.read_bytes() == b"begin" + bytes(999_995)
    assert path.stat().st_blocks * 512 >= 1_000_000
    lengthen(path, 10)
    assert path.stat().st_size == 1_000_000
    assert os.access(path, os.W_OK)
