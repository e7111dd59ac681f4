"""The ledger is asked in a few threads of ours, for a limited time: a ledger that hangs holds up nobody but them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from consumer.database.engine import make_engine, reading
from consumer.errors import LedgerError
from consumer.http.problems import Problem
from consumer.ledger.ledger import Ledger, ledger_on
from consumer.listener.ledger_backoff import in_short

PATIENCE = 10.0
"""Seconds that a request waits for the ledger."""
AT_ONCE = 4
"""Questions that are answered at a time."""

Found = TypeVar("Found")


class LedgerDoor:
    """A ledger of our own connections, opened when it is first asked: the service never waits for one of ours."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None

    def __call__(self) -> Ledger:
        """The ledger.

        Raises:
            LedgerError: it is another release's.
            DBAPIError: it does not answer.
        """
        with self._lock:
            if self._ledger is None:
                engine = make_engine(self._url)
                try:
                    self._ledger = ledger_on(engine, self._url)
                except BaseException:
                    engine.dispose()
                    raise
            return self._ledger

    def close(self) -> None:
        """Give back the connections that nobody uses now."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.close()


class Asking:
    """Asks a ledger in threads.

    Args:
        ledger: opens the ledger.
        patience: seconds that a question may take, with the wait for a free thread.
    """

    def __init__(self, ledger: Callable[[], Ledger], patience: float = PATIENCE) -> None:
        self._ledger = ledger
        self._patience = patience
        self._threads: CapacityLimiter | None = None  # belongs to a loop, so it is made in one

    async def ask(self, question: Callable[[Ledger], Found]) -> Found:
        """The answer of the ledger.

        Raises:
            Problem: 503, where the ledger does not answer.
        """

        def opened() -> Ledger:
            try:
                return self._ledger()
            except LedgerError as error:
                raise silent(str(error)) from None

        return await self.work(lambda: question(opened()))

    async def work(self, task: Callable[[], Found]) -> Found:
        """What `task` gives, run in a thread, where it may ask the ledger.

        Raises:
            Problem: 503, where it does not end in time, or the ledger does not answer.
        """
        if self._threads is None:
            self._threads = CapacityLimiter(AT_ONCE)
        try:
            async with asyncio.timeout(self._patience):
                # A thread that hangs is left behind, and keeps its place until it is done.
                return await anyio.to_thread.run_sync(task, limiter=self._threads, abandon_on_cancel=True)
        except TimeoutError:
            raise silent(f"no answer within {self._patience:g} s") from None
        except DBAPIError as error:
            raise silent(in_short(error)) from None
        except NoConnection:
            raise silent("all connections are in use") from None

    async def trouble(self) -> str | None:
        """Why the ledger does not answer; None where it does."""
        try:
            await self.ask(_answers)
        except Problem as problem:
            return problem.what
        return None


def silent(reason: str) -> Problem:
    """The ledger does not answer."""
    with suppress(UnicodeError):
        reason = reason.splitlines()[0]
    return Problem(503, f"the ledger does not answer: {reason}", "try again; /readyz and the log say more")


def _answers(ledger: Ledger) -> None:
    with reading(ledger.engine) as connection:
        connection.execute(text("SELECT 1"))
