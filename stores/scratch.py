"""Room for long arrays: in memory while they are short, from then on in a file that nobody else sees.

What grows with the number of users is too much for memory some day, and most of it is written once and read in order.
A mapped file has the same bits, and the system drops its pages from memory when others need the room. A file has no
name from its beginning on, so nothing of it is left when a process is killed.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stores.files import take_room

IN_MEMORY = 2**25
"""Bytes up to which an array is kept in memory."""


class Scratch:
    """Makes long arrays.

    Args:
        folder: of their files, on a disk with room for them; None keeps everything in memory.
        in_memory: bytes up to which an array needs no file.
    """

    def __init__(self, folder: Path | None, in_memory: int = IN_MEMORY) -> None:
        self._folder = folder
        self._in_memory = in_memory

    @staticmethod
    def beside(mapped: NDArray[Any]) -> Scratch:
        """In the folder of a file that is mapped, as `np.memmap` maps it; in memory where an array is no such map."""
        name = getattr(mapped, "filename", None)
        return Scratch(None if name is None else Path(name).parent)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of zeros.

        Raises:
            OSError: the disk has no room for it.
        """
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if self._folder is None or size <= self._in_memory:
            return np.zeros(shape, dtype)
        with TemporaryFile(dir=self._folder) as file:
            take_room(file, size)
            return mapped(file, np.dtype(dtype), shape)

    def growing(self, dtype: DTypeLike) -> Growing:
        """An array of one dimension to which numbers are appended."""
        return Growing(self._folder, self._in_memory, np.dtype(dtype))


MEMORY = Scratch(None)
"""Keeps everything in memory."""


class Growing:
    """Numbers, appended part by part, and read as one array at the end."""

    def __init__(self, folder: Path | None, in_memory: int, dtype: np.dtype[Any]) -> None:
        self._folder = folder
        self._in_memory = in_memory
        self._dtype = dtype
        self._parts: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None
        self._count = self._held = 0

    def __len__(self) -> int:
        return self._count

    def append(self, values: NDArray[Any]) -> None:
        """Add `values` (n,) at the end.

        Raises:
            OSError: the disk has no room for them.
        """
        self._parts.append(np.array(values, self._dtype))
        self._count += len(values)
        self._held += self._parts[-1].nbytes
        if self._folder is not None and self._held > self._in_memory:
            self._file = self._file or TemporaryFile(dir=self._folder)  # noqa: SIM115  (`array` closes it)
            self._write(self._file)

    def array(self) -> NDArray[Any]:
        """All that was appended, to be read and changed; nothing is appended afterwards."""
        if self._file is None:
            found = np.concatenate([np.empty(0, self._dtype), *self._parts])
            self._parts = []
            return found
        with self._file as file:
            self._write(file)
            file.flush()
            return mapped(file, self._dtype, (self._count,))

    def _write(self, file: IO[bytes]) -> None:
        for part in self._parts:
            file.write(part.data)
        self._parts, self._held = [], 0


def mapped(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], offset: int = 0) -> NDArray[Any]:
    """A part of an open file as an array that can be written; the file may be closed afterwards."""
    return np.memmap(file, dtype=dtype, mode="r+", offset=offset, shape=shape).view(np.ndarray)
