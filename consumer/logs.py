"""Logging: one event a line on standard error, readable on a terminal, JSON elsewhere; libraries speak through it."""

from __future__ import annotations

import logging
import sys

import structlog

from consumer.settings import LogSettings


def configure(settings: LogSettings) -> None:
    """Set up logging for this process."""
    for_people = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if for_people
        else structlog.processors.JSONRenderer(default=str)
    )
    if for_people:
        shared.pop()  # the console renderer formats exceptions itself
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # of libraries only what they warn of
    # The client reports as errors what it goes on to mend, and what it raises we report ourselves.
    logging.getLogger("kafka").setLevel(logging.WARNING if settings.level == "debug" else logging.CRITICAL)
    ours = logging.getLogger("consumer")
    ours.setLevel(settings.level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=_named_ours,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _named_ours(*_names: object) -> logging.Logger:
    return logging.getLogger("consumer")
