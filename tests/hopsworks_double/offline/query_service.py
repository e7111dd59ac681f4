"""The query service: offline rows over Arrow Flight with mutual TLS, at a port that the SDK does not let choose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from tests.hopsworks_double.cluster import FLIGHT_PORT, Cluster
from tests.hopsworks_double.faults import Drop, LoseReply, Outcome, Status
from tests.hopsworks_double.rows.columns import Kind
from tests.hopsworks_double.rows.conditions import from_sdk
from tests.hopsworks_double.rows.held import HeldGroup
from tests.hopsworks_double.rows.tables import Stored, Values

BATCH_ROWS = 4096
_SCALARS = {"string": pa.string(), "double": pa.float64(), "timestamp": pa.timestamp("ms")}
VERSION = b"5.2.0"


class QueryService:
    """The service, which may be stopped and started again."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._server: _FlightServer | None = None
        self.calls: list[str] = []
        """Actions and methods that were called, in order."""
        self.written: dict[tuple[str, int, int], int] = {}
        """Rows of training datasets, by view, its version, and that of the dataset."""

    def start(self) -> None:
        """Serve, if it does not yet."""
        if self._server is None:
            # It serves from here on; its `serve` would only wait, and meanwhile take over the process's signals.
            self._server = _FlightServer(self._cluster, self.calls, self.written)

    def stop(self) -> None:
        """Be gone, once the calls under way have ended."""
        if self._server is not None:
            self._cluster.faults.release("flight")
            self._server.shutdown()
            self._server = None


class _FlightServer(flight.FlightServerBase):  # type: ignore[misc]
    def __init__(self, cluster: Cluster, calls: list[str], written: dict[tuple[str, int, int], int]) -> None:
        self._cluster = cluster
        self._calls = calls
        self._written = written
        element = pa.float64() if cluster.spec.element == "double" else pa.float32()
        self._array = pa.list_(element)
        self._types = {**_SCALARS, "array": self._array}
        pki = cluster.pki
        super().__init__(
            f"grpc+tls://{cluster.host}:{FLIGHT_PORT}",
            tls_certificates=[(pki.server_pem, pki.server_key_pem)],
            verify_client=True,
            root_certificates=pki.ca_pem,
        )

    def list_actions(self, _: Any) -> list[tuple[str, str]]:
        self._struck("list_actions")
        return [("healthcheck", ""), ("get-version", ""), ("register-client-certificates", "")]

    def do_action(self, _: Any, action: Any) -> list[bytes]:
        self._struck(action.type)
        if action.type == "create-training-dataset":
            asked = json.loads(action.body.to_pybytes())
            rows = self._cluster.held(asked["query"]["group"]).offline_rows(None)
            self._written[asked["fv_name"], asked["fv_version"], asked["tds_version"]] = len(rows)
        return [VERSION if action.type == "get-version" else b"ok"]

    def get_flight_info(self, _: Any, descriptor: Any) -> Any:
        self._struck("get_flight_info")
        endpoint = flight.FlightEndpoint(descriptor.command, [])
        return flight.FlightInfo(pa.schema([]), descriptor, [endpoint], -1, -1)

    def do_get(self, _: Any, ticket: Any) -> Any:
        outcome = self._struck("do_get")
        asked = json.loads(ticket.ticket)
        group = self._cluster.held(asked["group"])
        schema = pa.schema([(name, self._types[group.kinds[name]]) for name in asked["columns"]])
        condition = from_sdk(asked["filter"], group.keys) if asked["filter"] else None
        # Captured here: the stream is one moment of the table, however slowly it is read.
        rows = group.offline_rows(condition)
        broken = isinstance(outcome, LoseReply)
        return flight.GeneratorStream(schema, self._batches(group, schema, rows, broken=broken))

    def _struck(self, call: str) -> Outcome | None:
        self._calls.append(call)
        match self._cluster.faults.strike("flight", call):
            case Status(code=code, message=message):
                raise _error(code, message)
            case Drop():
                raise flight.FlightUnavailableError("the connection was dropped")
            case LoseReply() as outcome:
                if call != "do_get":
                    raise flight.FlightUnavailableError("the answer was lost")
                return outcome
        return None

    def _batches(self, group: HeldGroup, schema: Any, rows: list[tuple[str, Stored]], broken: bool) -> Iterator[Any]:
        for start in range(0, len(rows), BATCH_ROWS):
            part = rows[start : start + BATCH_ROWS]
            ends = [group.ends(key) for key, _ in part]
            columns = [
                pa.array([one[name] for one in ends], pa.string())
                if name in group.keys
                else self._cells([row.get(name) for _, row in part], group.kinds[name])
                for name in schema.names
            ]
            yield pa.record_batch(columns, schema=schema)
            if broken:
                break
        if broken:
            raise flight.FlightUnavailableError("the stream broke off")

    def _cells(self, cells: list[Values | None], kind: Kind) -> Any:
        if kind == "array":
            return self._lists(cells)
        return pa.array([None if values is None else values[0].item() for values in cells], self._types[kind])

    def _lists(self, cells: list[Values | None]) -> Any:
        lengths = [0 if values is None else len(values) for values in cells]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        filled = [values for values in cells if values is not None]
        flat = pa.array(np.concatenate(filled) if filled else np.empty(0), self._array.value_type, from_pandas=False)
        absent = pa.array([values is None for values in cells], pa.bool_())
        return pa.ListArray.from_arrays(pa.array(offsets), flat, type=self._array, mask=absent)


def _error(code: int, message: str) -> Exception:
    kinds = {
        401: flight.FlightUnauthenticatedError,
        403: flight.FlightUnauthorizedError,
        503: flight.FlightUnavailableError,
        504: flight.FlightTimedOutError,
    }
    kind = kinds.get(code, flight.FlightInternalError if code == 500 else flight.FlightServerError)
    error: Exception = kind(message or f"status {code}")
    return error
