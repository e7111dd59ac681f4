"""Records as kafka-python's consumer has fetched them, with what it lacks where one of them cannot be parsed.

As it is, version 3.0 gives what comes before that record, and keeps the error for the next poll. If the partition is
paused then, as it is in a rebalance, the error is forgotten; and once the partition goes on at the same offset, the
poll asks an iterator that has come to its end for more, without end: it never returns, and the member leaves its group.
"""

from __future__ import annotations

from typing import Any

from kafka.consumer.fetcher import Fetcher


class _Fetched(Fetcher.PartitionRecords):  # type: ignore[misc]
    _error: Exception | None = None

    def take(self, n: int | None = None) -> Any:
        if self._error is not None:
            raise self._error
        try:
            return super().take(n)
        except Exception as error:
            self._error = error
            raise


def raising_again(consumer: Any) -> Any:
    """The same consumer; what it could not parse is raised at each poll from there, until it is sought elsewhere."""
    consumer._fetcher.PartitionRecords = _Fetched  # noqa: SLF001  (there is no public way)
    return consumer
