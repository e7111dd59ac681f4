"""One Parquet file of vectors, with a column for each tower, which replaces the one before in one rename."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from schemas.jobs.vectors import Tower, VectorStamp
from stores.files import flush_folder, share
from stores.vectors.blocks import VectorBlock
from stores.vectors.parquet import ParquetWriter


class SingleWriter:
    """Writes `path`; see VectorWriter."""

    def __init__(self, path: Path, towers: Sequence[Tower], dimension: int) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.new")
        self._writer = ParquetWriter(self._partial, towers, dimension)
        self._open = True

    def add(self, block: VectorBlock) -> None:
        """See VectorWriter."""
        self._writer.add(block)

    def finish(self, stamp: VectorStamp) -> None:
        """See VectorWriter."""
        self._close(stamp)
        with self._partial.open("rb") as file:
            os.fsync(file.fileno())
        share(self._partial)
        self._partial.replace(self._path)
        flush_folder(self._path.parent)

    def drop(self) -> None:
        """See VectorWriter."""
        self._close(None)
        self._partial.unlink(missing_ok=True)

    def _close(self, stamp: VectorStamp | None) -> None:
        if self._open:
            self._open = False
            self._writer.close(stamp)
