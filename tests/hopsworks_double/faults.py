"""What goes wrong, on request: one switchboard for all servers of the double."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

Server = Literal["control", "rest", "flight", "mysql", "opensearch"]


@dataclass(frozen=True)
class Status:
    """Answer with this instead of doing what was asked.

    `code` is an HTTP status; for `flight` the gRPC error closest to it; for `mysql` one of MySQL's error numbers.
    """

    code: int
    error_code: int | None = None
    message: str = ""
    body: bytes | None = None


@dataclass(frozen=True)
class Stall:
    """Be silent for `seconds`, or until the faults are cleared or the server stops; then go on as if nothing was."""

    seconds: float | None = None


@dataclass(frozen=True)
class Drop:
    """Close the connection before doing anything."""


@dataclass(frozen=True)
class LoseReply:
    """Do it, then close the connection without an answer; `flight` breaks off after the first batch of rows."""


@dataclass(frozen=True)
class ErrorRow:
    """For `rest` only: these keys cannot be read, which its answer says inside an HTTP 200."""

    keys: Collection[str]


@dataclass(frozen=True)
class Call:
    """Run a function first, for instance one that ends a process; then go on."""

    function: Callable[[], object]


Outcome = Status | Drop | LoseReply | ErrorRow
Action = Outcome | Stall | Call


@dataclass(eq=False)
class Fault:
    """One thing that goes wrong: at requests that `where` finds, after `skip` of them, `times` times or for ever."""

    server: Server
    where: str
    """Sought in `METHOD path?query` of `control` and `rest`; in the action, `list_actions`, `get_flight_info` or
    `do_get` of `flight`; in the SQL of `mysql`, or `CONNECT user`."""
    do: Action
    times: int | None = 1
    skip: int = 0
    hits: int = 0
    """How often it happened so far."""
    _lifted: threading.Event = field(default_factory=threading.Event, repr=False)

    def lift(self) -> None:
        """End its stalls."""
        self._lifted.set()


class Faults:
    """The faults that wait to happen; the first that fits a request happens to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Let it happen from now on."""
        re.compile(fault.where)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Nothing goes wrong any more, and what is stalled goes on."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.lift()

    def release(self, server: Server) -> None:
        """End the stalls of a server that stops."""
        with self._lock:
            faults = [fault for fault in self._faults if fault.server == server]
        for fault in faults:
            fault.lift()

    def strike(self, server: Server, request: str) -> Outcome | None:
        """What happens to a request; None if it is to be served, perhaps after a stall."""
        fault = self._take(server, request)
        if fault is None:
            return None
        if isinstance(fault.do, Stall):
            fault._lifted.wait(fault.do.seconds)
            return None
        if isinstance(fault.do, Call):
            fault.do.function()
            return None
        return fault.do

    def _take(self, server: Server, request: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.server != server or not re.search(fault.where, request):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                elif fault.times is None or fault.hits < fault.times:
                    fault.hits += 1
                    return fault
        return None
