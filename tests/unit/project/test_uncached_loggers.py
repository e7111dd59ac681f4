"""What a command configures in a test's process hides no log line from a later test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from consumer.logs import configure
from consumer.settings import LogSettings

log = structlog.get_logger()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_logger_that_was_used_is_heard_after_the_next_configuration() -> None:
    for _ in range(2):
        configure(LogSettings(level="error", format="json"))
        log.info("not told")
    with capture_logs() as heard:
        log.error("told")
    assert [line["event"] for line in heard] == ["told"]
