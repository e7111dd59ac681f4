"""Loggers that look up their configuration at each use: a command that is called in a test's process changes it.

A logger that keeps its first one, as those of a service do, would write past `capture_logs` in a later test.
"""

from __future__ import annotations

from typing import Any

import structlog


def never_cached() -> None:
    """From now on no configuration of structlog has loggers keep it."""
    configure = structlog.configure

    def uncached(**settings: Any) -> None:
        configure(**{**settings, "cache_logger_on_first_use": False})

    structlog.configure = uncached  # type: ignore[assignment]
