"""Avro as Hopsworks uses it: a record per row, in which an array column is the bytes of an Avro array of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Literal

import fastavro
import numpy as np

from schemas.features import FeatureGroup
from tests.hopsworks.tables import Stored, Values

_NOT_NULL = b"\x02"
_END_OF_ARRAY = b"\x00"


class RowCodec:
    """Writes and reads the rows of one feature group, as messages of the ingestion topic and as cells of the table."""

    def __init__(self, group: FeatureGroup, element: Literal["double", "float"], namespace: str) -> None:
        self._key = group.primary_key
        array = ["null", {"type": "array", "items": ["null", element]}]
        columns = [column.name for column in group.columns]
        record = {"type": "record", "name": f"{group.name}_{group.version}", "namespace": namespace}
        key = {"name": group.primary_key, "type": ["null", "string"]}
        self.schema: dict[str, Any] = {**record, "fields": [key, *({"name": n, "type": array} for n in columns)]}
        """As the schema registry hands it out, with real arrays."""
        message = {**record, "fields": [key, *({"name": n, "type": ["null", "bytes"]} for n in columns)]}
        self._message = fastavro.parse_schema(message)
        self._array = fastavro.parse_schema(array)
        self._item = np.dtype([("branch", "u1"), ("value", "<f8" if element == "double" else "<f4")])

    def cell(self, values: Values | None) -> bytes | None:
        """An array as the online table keeps it; None where the column is null."""
        if values is None:
            return None
        # The same bytes as fastavro writes, at a tenth of the time: whole tables are read this way.
        items = np.empty(len(values), dtype=self._item)
        items["branch"] = _NOT_NULL[0]
        items["value"] = values
        block = _long(len(values)) + items.tobytes() if len(values) else b""
        return _NOT_NULL + block + _END_OF_ARRAY

    def values(self, cell: bytes | None) -> Any:
        """The array in a cell; None where it is null, outside or inside."""
        return None if cell is None else fastavro.schemaless_reader(io.BytesIO(cell), self._array, None)

    def message(self, key: str, row: Stored | None) -> bytes:
        """A row as a message of the ingestion topic; None for a row whose columns are all null, as deletes carry."""
        cells = {} if row is None else {name: self.cell(values) for name, values in row.items()}
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._message, {self._key: key, **cells})
        return out.getvalue()

    def row(self, message: bytes) -> tuple[str, Mapping[str, Any]]:
        """Key and columns of a message of the ingestion topic."""
        record: Any = fastavro.schemaless_reader(io.BytesIO(message), self._message, None)
        key = record.pop(self._key)
        return key, {name: self.values(cell) for name, cell in record.items()}


def _long(number: int) -> bytes:
    """A count that is not negative, in Avro's zigzag form of variable length."""
    rest = number << 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])
