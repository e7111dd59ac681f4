"""The folder of vector sets: one is written beside the others, and takes the place of the one before in one rename.

A reader that has opened the set before finishes with it; that set stays until the next one comes. Where users were
removed, it goes at once, so that no published file holds them. A file that is open stays readable all the same.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from schemas.jobs.vectors import CURRENT_FILE, SET_PREFIX, STAMP_FILE, Tower, VectorStamp, current_set, stamp_of
from stores.errors import StoreError
from stores.files import flush_folder, replacing, share, shared
from stores.vectors.blocks import VectorBlock
from stores.vectors.parquet import ParquetFile, ParquetWriter, VectorsDamaged

_PARTIAL, _LOCK = ".partial-", ".lock"


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """The right to write in a folder; what a writer that was killed has left is removed.

    Raises:
        StoreError: another process writes there.
    """
    with shared():
        out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another process writes vectors to {out}; wait for its end") from None
        for left in out.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        _tidy(out)
        yield


class SetWriter:
    """Writes a set, and switches to it; see VectorWriter. To be used by the only writer."""

    def __init__(self, out: Path, towers: Sequence[Tower], dimension: int) -> None:
        self._out = out
        self._folder = out / f"{_PARTIAL}{os.getpid()}"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._files = {tower: ParquetWriter(self._folder / tower.file, [tower], dimension) for tower in towers}
        self._open = True

    def add(self, block: VectorBlock) -> None:
        """See VectorWriter."""
        for file in self._files.values():
            file.add(block)

    def finish(self, stamp: VectorStamp) -> None:
        """See VectorWriter."""
        self._close(stamp)
        with replacing(self._folder / STAMP_FILE) as file:
            file.write(stamp.model_dump_json(indent=2).encode())
        for path in self._folder.glob("*.parquet"):
            _flush(path)
        share(self._folder)
        made = self._out / f"{SET_PREFIX}{stamp.origin.version}-{stamp.created_at:%Y%m%dT%H%M%S%f}"
        self._folder.rename(made)
        flush_folder(self._out)
        with shared(), replacing(self._out / CURRENT_FILE) as file:
            file.write(json.dumps({"set": made.name}).encode())
        _tidy(self._out)

    def drop(self) -> None:
        """See VectorWriter."""
        self._close(None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _close(self, stamp: VectorStamp | None) -> None:
        if self._open:
            self._open = False
            for file in self._files.values():
                file.close(stamp)


class SetFiles:
    """Reads a set that is there; see VectorFile.

    Raises:
        FileNotFoundError: it was removed meanwhile.
        VectorsDamaged: it is not whole.
    """

    def __init__(self, folder: Path) -> None:
        with ExitStack() as opened:
            found = stamp_of(folder)
            if found is None:
                if not folder.is_dir():
                    raise FileNotFoundError(folder)
                raise VectorsDamaged(f"{folder} has no {STAMP_FILE} that can be read; write the set again")
            self.stamp = found
            self.files = {tower: ParquetFile(folder / tower.file) for tower in self.stamp.towers}
            for file in self.files.values():
                opened.callback(file.close)
                if file.stamp != self.stamp:
                    raise VectorsDamaged(f"the files in {folder} are not of one set; write it again")
            self._opened = opened.pop_all()

    def blocks(self, towers: Sequence[Tower] | None = None) -> Iterator[VectorBlock]:
        """See VectorFile."""
        if towers is not None and not towers:
            yield from next(iter(self.files.values())).blocks(())
            return
        for parts in zip(*(file.blocks() for file in self.files.values()), strict=True):
            vectors = {tower: part.vectors[tower] for tower, part in zip(self.files, parts, strict=True)}
            yield VectorBlock(parts[0].users, vectors, parts[0].hashes)

    def close(self) -> None:
        """See VectorFile."""
        self._opened.close()


def sets_in(out: Path) -> list[Path]:
    """The sets that are there, oldest first: the one that counts, and the one before."""
    return sorted(out.glob(f"{SET_PREFIX}*"), key=lambda path: path.name.rpartition("-")[2])


def _tidy(out: Path) -> None:
    """Remove all sets but the one that counts and the one before; that one, too, where users were removed since."""
    current = current_set(out)
    if (stamp := stamp_of(current)) is None:
        return  # a person looks at it, or the next set settles it
    found = sets_in(out)
    at = next((number for number, path in enumerate(found) if path == current), None)
    if at is None:
        return
    before = found[at - 1 : at] if stamp.removed == 0 else []
    for path in found:
        if path != current and path not in before:  # a later one is of a writer that was killed before it switched
            shutil.rmtree(path, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
