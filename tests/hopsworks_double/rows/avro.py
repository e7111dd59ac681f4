"""Avro as Hopsworks uses it: a record per row, in which an array column is the bytes of an Avro array of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import fastavro
import numpy as np

from schemas.events import Group, key_columns
from tests.hopsworks_double.rows.columns import Kind, ends_of, key_of, kinds_of
from tests.hopsworks_double.rows.tables import Stored, Values

_NOT_NULL = b"\x02"
_END_OF_ARRAY = b"\x00"
_PLAIN: dict[Kind, Any] = {
    "array": "bytes",
    "string": "string",
    "double": "double",
    "bigint": "long",
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
}
"""The Avro type of a column in a message."""


class RowCodec:
    """Writes and reads the rows of one group, as messages of the ingestion topic and as cells of the table."""

    def __init__(self, group: Group, element: Literal["double", "float"], namespace: str) -> None:
        self._group = group
        self._kinds = kinds_of(group)
        array = ["null", {"type": "array", "items": ["null", element]}]
        record = {"type": "record", "name": f"{group.name}_{group.version}", "namespace": namespace}
        keys = [{"name": name, "type": ["null", "string"]} for name in key_columns(group)]
        plain = [{"name": name, "type": ["null", _PLAIN[kind]]} for name, kind in self._kinds.items()]
        nested = [{**field, "type": array} if field["type"] == ["null", "bytes"] else field for field in plain]
        self.schema: dict[str, Any] = {**record, "fields": [*keys, *nested]}
        """As the schema registry hands it out, with real arrays."""
        self._message = fastavro.parse_schema({**record, "fields": [*keys, *plain]})
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
        cells = {} if row is None else {name: self._plain(name, row.get(name)) for name in self._kinds}
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._message, {**ends_of(self._group, key), **cells})
        return out.getvalue()

    def row(self, message: bytes) -> tuple[str, Mapping[str, Any]]:
        """Key and columns of a message of the ingestion topic."""
        record: Any = fastavro.schemaless_reader(io.BytesIO(message), self._message, None)
        key = key_of(self._group, {name: record.pop(name) for name in key_columns(self._group)})
        return key, {name: self._value(name, cell) for name, cell in record.items()}

    def _plain(self, name: str, values: Values | None) -> Any:
        if self._kinds[name] == "array" or values is None:
            return self.cell(values)
        value = int(values[0]) if self._kinds[name] == "bigint" else values[0].item()
        return value * 1000 if self._kinds[name] == "timestamp" else value

    def _value(self, name: str, cell: Any) -> Any:
        if self._kinds[name] == "array":
            return self.values(cell)
        return int(cell.timestamp() * 1000) if isinstance(cell, datetime) else cell


def _long(number: int) -> bytes:
    """A count that is not negative, in Avro's zigzag form of variable length."""
    rest = number << 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])
