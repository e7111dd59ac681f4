"""Services in the process of the test log beside its commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def log_to_standard_error() -> Iterator[None]:
    """A thread logs what a trainer says, while a command of the test writes what the test reads to standard output."""
    structlog.reset_defaults()  # a command that an earlier test called in this process has set more than this
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    yield
    structlog.reset_defaults()
