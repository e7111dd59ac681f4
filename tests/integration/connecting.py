"""A `connect` in a thread of its own: what it says while it waits, and that it ends when it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.connecting import connect
from tests.waiting import wait_until, within


@dataclass
class Connecting:
    """What became of it so far."""

    settings: KafkaSettings
    stopping: threading.Event = field(default_factory=threading.Event)
    reasons: list[str] = field(default_factory=list)
    consumer: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.consumer = connect(
                self.settings,
                grouped=False,
                stopping=self.stopping,
                waiting=lambda reason, _: self.reasons.append(reason),
            )
        except BaseException as error:  # noqa: BLE001  (told by the test)
            self.error = error

    def gets_in(self) -> None:
        """Wait until there is a consumer."""
        wait_until(lambda: self.consumer or self.error, 20, "the consumer")
        assert self.error is None

    def reason(self) -> str:
        """Wait until it says why it waits."""
        wait_until(lambda: self.reasons or self.error or self.consumer, 15, "a reason to wait")
        assert self.reasons, self.error or "it got in"
        return self.reasons[-1]


@contextmanager
def connecting(settings: KafkaSettings) -> Iterator[Connecting]:
    """Stopped at the end, which has to be at once."""
    it = Connecting(settings)
    thread = threading.Thread(target=it.run, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        it.stopping.set()
        with within(2):
            thread.join(100)
        if it.consumer is not None:
            it.consumer.close()
    assert not thread.is_alive()
    assert it.error is None


@contextmanager
def silent() -> Iterator[str]:
    """The address of somebody who takes every call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def assert_matches(reason: str, pattern: str) -> None:
    """The pattern is found, or both are shown."""
    with pytest.raises(AssertionError, match=pattern):
        raise AssertionError(reason)
