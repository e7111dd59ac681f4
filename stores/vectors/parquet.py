"""Parquet files of vectors: a row a user, by id, with a column of vectors for each tower.

    user_id     string
    query       list of float32, of fixed length; and the same for candidate
    row_hash    of the raw row

The stamp stands in the metadata of the schema, under `retrainer.stamp`. A row group is a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.jobs.vectors import STAMP_KEY, Tower, VectorStamp
from stores.errors import StoreError
from stores.vectors.blocks import BLOCK, VectorBlock

USER, HASH = "user_id", "row_hash"


class VectorsDamaged(StoreError):  # noqa: N818
    """A file of vectors cannot be read, or is none."""


class ParquetWriter:
    """Writes one file; `path` is there whole only after `close`."""

    def __init__(self, path: Path, towers: Sequence[Tower], dimension: int) -> None:
        self._towers = towers
        self._dimension = dimension
        fields = [pa.field(tower.value, pa.list_(pa.float32(), dimension), nullable=False) for tower in towers]
        self._schema = pa.schema(
            [pa.field(USER, pa.string(), nullable=False), *fields, pa.field(HASH, pa.uint64(), nullable=False)]
        )
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression={USER: "zstd", HASH: "none", **{f"{tower.value}.list.element": "none" for tower in towers}},
            use_dictionary=False,
        )

    def add(self, block: VectorBlock) -> None:
        """Write a block as a row group."""
        vectors = [
            pa.FixedSizeListArray.from_arrays(
                pa.array(np.ascontiguousarray(block.vectors[tower]).ravel(), pa.float32()), self._dimension
            )
            for tower in self._towers
        ]
        columns = [pa.array(block.users, pa.string()), *vectors, pa.array(block.hashes)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema), row_group_size=BLOCK)

    def close(self, stamp: VectorStamp | None) -> None:
        """Write the footer, with the stamp; without one the file is to be removed."""
        if stamp is not None:
            self._writer.add_key_value_metadata({STAMP_KEY: stamp.model_dump_json()})
        self._writer.close()


class ParquetFile:
    """Reads one file. It stays readable where it is removed or replaced meanwhile.

    Raises:
        VectorsDamaged: the file is none of ours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            self.stamp = VectorStamp.model_validate_json((self._file.metadata.metadata or {})[STAMP_KEY.encode()])
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise VectorsDamaged(f"{path} is no file of vectors: {error}; write it again") from error
        self.towers = [tower for tower in Tower if tower.value in self._file.schema_arrow.names]

    def __len__(self) -> int:
        """Number of users."""
        return int(self._file.metadata.num_rows)

    def blocks(self, towers: Sequence[Tower] | None = None) -> Iterator[VectorBlock]:
        """See VectorFile; of some towers only, where they are named."""
        wanted = self.towers if towers is None else towers
        try:
            for group in range(self._file.num_row_groups):
                yield self._block(
                    self._file.read_row_group(group, [USER, *(one.value for one in wanted), HASH]), wanted
                )
        except (OSError, pa.ArrowException) as error:
            raise VectorsDamaged(f"{self._path} cannot be read: {error}; write it again") from error

    def holds(self, user: str) -> bool:
        """Whether a row is there for a user; reads the ids of one block."""
        at = self._file.schema_arrow.names.index(USER)
        for group in range(self._file.num_row_groups):
            bounds = self._file.metadata.row_group(group).column(at).statistics
            if bounds is not None and bounds.has_min_max and not bounds.min <= user <= bounds.max:
                continue
            if user in self._file.read_row_group(group, [USER]).column(USER).to_pylist():
                return True
        return False

    def close(self) -> None:
        """See VectorFile."""
        self._file.close()

    def _block(self, table: pa.Table, towers: Sequence[Tower]) -> VectorBlock:
        table = table.combine_chunks()
        return VectorBlock(
            users=table.column(USER).to_pylist(),
            vectors={tower: _floats(table.column(tower.value), self.stamp.dimension) for tower in towers},
            hashes=table.column(HASH).to_numpy(),
        )


def _floats(column: pa.ChunkedArray, dimension: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    parts = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty((0, dimension), np.float32)
