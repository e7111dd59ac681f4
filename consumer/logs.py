"""Logging: one event a line on standard error, readable on a terminal, JSON elsewhere, also for libraries."""

from __future__ import annotations

import io
import logging
import math
import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from consumer.plain import one_line, plain
from consumer.settings import LogSettings
from schemas.log_events.service import ENDED_BY_AN_ERROR, THREAD_ENDED_BY_AN_ERROR

log = structlog.get_logger()


def configure(settings: LogSettings) -> None:
    """Set up logging for this process. What ends it, or a thread of it, and what libraries warn of, is logged, too."""
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
        else [_for_a_parser, structlog.processors.JSONRenderer(default=str)]
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
    logging.captureWarnings(capture=True)
    sys.excepthook, threading.excepthook = _log_the_end, _log_the_end_of_a_thread


def writes_json() -> bool:
    """Whether each line on standard error is JSON: a parser reads it, and nothing else should be written there."""
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    ours = [one for one in formatters if isinstance(one, structlog.stdlib.ProcessorFormatter)]
    return any(isinstance(one, structlog.processors.JSONRenderer) for found in ours for one in found.processors)


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.error(ENDED_BY_AN_ERROR, exc_info=(kind, error, trace))


def _log_the_end_of_a_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit or args.exc_value is None:
        return
    name = args.thread.name if args.thread is not None else None
    log.error(THREAD_ENDED_BY_AN_ERROR, thread=name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))


def _named_ours(*_names: object) -> logging.Logger:
    return logging.getLogger("consumer")


def _for_a_parser(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Make each event JSON that every parser takes: JSON has no word for numbers that are not finite."""
    return {name: _finite(value) for name, value in event.items()}


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


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
