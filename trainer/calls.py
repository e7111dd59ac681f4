"""Counts what a cycle asks of stores and registry: how often, how long it took, how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar, cast

from schemas.stores.calls import Call, CalledAt, CallOutcome, CallReport, joined
from stores.errors import ClusterUnreachable, ContractError, NotThere, Refused, StaleFence, Unauthorized

T = TypeVar("T")

_OUTCOMES: dict[type[Exception], CallOutcome] = {
    ClusterUnreachable: CallOutcome.UNREACHABLE,
    Unauthorized: CallOutcome.UNAUTHORIZED,
    NotThere: CallOutcome.NOT_THERE,
    Refused: CallOutcome.REFUSED,
    StaleFence: CallOutcome.STALE_FENCE,
    ContractError: CallOutcome.CONTRACT,
}
_NAMES = frozenset(map(str, Call))


class Calls:
    """The calls of one cycle.

    Args:
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._calls: dict[tuple[CalledAt, Call, CallOutcome], tuple[int, float]] = {}

    def counted(self, where: CalledAt, adapter: T) -> T:
        """The same adapter, whose calls are counted. What is read in portions is one call, and ends with the last."""
        return cast("T", _Counted(adapter, where, self))

    def opened(self, where: CalledAt, how: Callable[[], T]) -> T:
        """What `how` opens, whose calls are counted, as is the opening; None where there is nothing to open."""
        began = self.clock()
        try:
            adapter = how()
        except Exception as error:
            self.add(where, Call.OPEN, error, self.clock() - began)
            raise
        if adapter is None:
            return adapter
        self.add(where, Call.OPEN, None, self.clock() - began)
        return self.counted(where, adapter)

    def add(self, where: CalledAt, call: Call, error: Exception | None, seconds: float) -> None:
        """Count a call that took so long, and ended with this error, if with any."""
        count, before = self._calls.get(key := (where, call, outcome_of(error)), (0, 0.0))
        self._calls[key] = count + 1, before + seconds

    @property
    def report(self) -> tuple[CallReport, ...]:
        """All of them so far."""
        return joined(
            CallReport(where=where, call=call, outcome=outcome, count=count, seconds=seconds)
            for (where, call, outcome), (count, seconds) in self._calls.items()
        )


def outcome_of(error: Exception | None) -> CallOutcome:
    """How a call went that ended with this error."""
    if error is None:
        return CallOutcome.OK
    return next((word for kind, word in _OUTCOMES.items() if isinstance(error, kind)), CallOutcome.ERROR)


class _Counted:
    """Stands for an adapter: has its attributes, and counts calls of the methods that `Call` names."""

    def __init__(self, adapter: object, where: CalledAt, calls: Calls) -> None:
        self._adapter = adapter
        self._where = where
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._adapter, name)
        return self._counting(Call(name), found) if name in _NAMES else found

    def _counting(self, call: Call, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            began = self._calls.clock()
            try:
                answer = method(*args, **named)
            except Exception as error:
                self._ended(call, error, self._calls.clock() - began)
                raise
            if isinstance(answer, Iterator):
                return self._portions(call, answer)
            self._ended(call, None, self._calls.clock() - began)
            return answer

        return counted

    def _portions(self, call: Call, portions: Iterator[T]) -> Generator[T]:
        """The same portions; only the time that the store takes for them counts."""
        spent, failed = 0.0, None
        try:
            while True:
                began = self._calls.clock()
                try:
                    portion = next(portions)
                except StopIteration:
                    return
                except Exception as error:
                    failed = error
                    raise
                finally:
                    spent += self._calls.clock() - began
                yield portion
        finally:
            if isinstance(portions, Generator):
                portions.close()  # ends a stream that was not read to its end
            self._ended(call, failed, spent)

    def _ended(self, call: Call, error: Exception | None, seconds: float) -> None:
        self._calls.add(self._where, call, error, seconds)
