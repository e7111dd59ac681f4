"""NumPy files of vectors (`.npz`): `user_id`, `query` and `candidate` (users, dimension), `row_hash`, and `stamp`.

A .npz is a zip of arrays, each of which says its shape first. So blocks go to files beside it, and are put together
once the number of users is known.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from schemas.jobs.vectors import Tower, VectorStamp
from stores.files import replacing, shared
from stores.vectors.blocks import BLOCK, VectorBlock
from stores.vectors.parquet import HASH, USER, VectorsDamaged

_STAMP = "stamp"


class NumpyWriter:
    """Writes one .npz; see VectorWriter."""

    def __init__(self, path: Path, towers: Sequence[Tower], dimension: int) -> None:
        self._path = path
        self._dimension = dimension
        self._users: list[str] = []
        self._folder = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        self._files = {name: (self._folder / name).open("w+b") for name in (HASH, *(tower.value for tower in towers))}

    def add(self, block: VectorBlock) -> None:
        """See VectorWriter."""
        self._users += block.users
        self._files[HASH].write(block.hashes.astype(np.uint64).tobytes())
        for tower, vectors in block.vectors.items():
            self._files[tower.value].write(vectors.astype(np.float32).tobytes())

    def finish(self, stamp: VectorStamp) -> None:
        """See VectorWriter."""
        with shared(), replacing(self._path) as file, zipfile.ZipFile(file, "w") as packed:
            self._pack_ids(packed)
            for name, spool in self._files.items():
                shape = (len(self._users),) if name == HASH else (len(self._users), self._dimension)
                with _entry(packed, name, np.dtype(np.uint64 if name == HASH else np.float32), shape) as entry:
                    spool.seek(0)
                    shutil.copyfileobj(spool, entry)
            text = np.array(stamp.model_dump_json())
            with _entry(packed, _STAMP, text.dtype, ()) as entry:
                entry.write(text.tobytes())
        self.drop()

    def drop(self) -> None:
        """See VectorWriter."""
        for spool in self._files.values():
            spool.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _pack_ids(self, packed: zipfile.ZipFile) -> None:
        kind = np.dtype(f"<U{max(map(len, self._users), default=1)}")
        with _entry(packed, USER, kind, (len(self._users),)) as entry:
            for at in range(0, len(self._users), BLOCK):
                entry.write(np.array(self._users[at : at + BLOCK], kind).tobytes())


class NumpyFile:
    """Reads one .npz, block by block; see VectorFile.

    Raises:
        VectorsDamaged: the file is none of ours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._packed = zipfile.ZipFile(path)
            with self._packed.open(f"{_STAMP}.npy") as entry:
                self.stamp = VectorStamp.model_validate_json(str(np.lib.format.read_array(entry)))
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise VectorsDamaged(f"{path} is no file of vectors: {error}; write it again") from error
        self.towers = [tower for tower in Tower if f"{tower.value}.npy" in self._packed.namelist()]

    def blocks(self, towers: Sequence[Tower] | None = None) -> Iterator[VectorBlock]:
        """See VectorFile."""
        wanted = self.towers if towers is None else towers
        try:
            columns = {name: _Column(self._packed, name) for name in (USER, HASH, *(one.value for one in wanted))}
            for _ in range(0, columns[USER].count, BLOCK):
                part = {name: column.next() for name, column in columns.items()}
                yield VectorBlock(part[USER].tolist(), {one: part[one.value] for one in wanted}, part[HASH])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise VectorsDamaged(f"{self._path} cannot be read: {error}; write it again") from error

    def close(self) -> None:
        """See VectorFile."""
        self._packed.close()


class _Column:
    """One array of the zip, read from its beginning, a block at a time."""

    def __init__(self, packed: zipfile.ZipFile, name: str) -> None:
        self._entry = packed.open(f"{name}.npy")
        np.lib.format.read_magic(self._entry)
        shape, _, self._kind = np.lib.format.read_array_header_1_0(self._entry)
        self.count = int(shape[0])
        self._shape = tuple(shape[1:])
        self._left = self.count

    def next(self) -> NDArray[Any]:
        count = min(BLOCK, self._left)
        self._left -= count
        size = count * int(np.prod(self._shape, dtype=np.int64)) * self._kind.itemsize
        return np.frombuffer(self._entry.read(size), self._kind).reshape(count, *self._shape)


def _entry(packed: zipfile.ZipFile, name: str, kind: np.dtype[Any], shape: tuple[int, ...]) -> IO[bytes]:
    """A new array in the zip, whose numbers are to follow."""
    entry = packed.open(f"{name}.npy", "w", force_zip64=True)
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(entry, header)
    return entry
