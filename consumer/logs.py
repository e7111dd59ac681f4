"""Logging: one event a line on standard error, readable on a terminal, JSON elsewhere, also for libraries."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog

from consumer.plain import one_line, plain
from consumer.settings import LogSettings


def configure(settings: LogSettings) -> None:
    """Set up logging for this process."""
    for_people = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderers: list[structlog.typing.Processor] = (
        [_for_a_terminal, structlog.dev.ConsoleRenderer(colors=coloured, exception_formatter=_plain_traceback)]
        if for_people
        else [structlog.processors.JSONRenderer(default=str)]
    )
    if for_people:
        shared.pop()  # the console renderer formats exceptions itself
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # of libraries only what they warn of
    # The Kafka client reports as errors what it mends itself, and we report what it raises.
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


def _for_a_terminal(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Make each event one line that steers no terminal: values come from brokers, records and trainers, too."""
    return {name: value if name == "exc_info" else _shown(value) for name, value in event.items()}


def _shown(value: object) -> object:
    """A value as it is shown; numbers keep the form that the renderer gives them."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {_shown(name): _shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else one_line(str(value))


def _plain_traceback(out: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    out.write(plain(written.getvalue()))
