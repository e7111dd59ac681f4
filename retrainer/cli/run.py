"""`retrainer run`: the service."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import closing, suppress
from functools import partial

import structlog
import typer

from consumer.allocator import give_back_large_blocks
from consumer.clock import Clock, this_boot
from consumer.connection import connected
from consumer.database.address import weakness
from consumer.freshness.now import warn_of_conflicts
from consumer.ledger.ledger import open_ledger
from consumer.lock import only_one
from consumer.logs import configure, writes_json
from consumer.service import Service
from consumer.settings import Settings, load_settings
from consumer.status import Status, write_status
from consumer.stopping import on_stop
from schemas.log_events.service import LEDGER_NOT_SAFE, SERVICE_FAILED

log = structlog.get_logger()


def run() -> None:
    """Listen for change events and retrain, until asked to stop (SIGTERM, Ctrl-C, or a terminal that closes).

    A cycle that is under way is then given up, and resumed at the next start.
    """
    give_back_large_blocks()
    settings = load_settings()
    configure(settings.log)
    try:
        _serve(settings)
    except Exception as error:
        from retrainer.cli import FAILED, described

        if not writes_json() or (reason := described(error)) is None:
            raise
        log.error(SERVICE_FAILED, reason=reason)
        raise typer.Exit(FAILED) from None


def _serve(settings: Settings) -> None:
    if weak := weakness(settings.ledger.url, os.environ):
        log.warning(LEDGER_NOT_SAFE, reason=weak)
    on_stop(lambda _signal: sys.exit(0))  # while it waits for the cluster
    with only_one(settings.state_dir), closing(open_ledger(settings.ledger.url)) as ledger:
        warn_of_conflicts(settings, ledger)
        service = Service(connected(settings, waiting=partial(_waiting, settings)), ledger)
        on_stop(lambda _signal: service.stop())
        freeze_the_start()
        service.run()


def freeze_the_start() -> None:
    """What is loaded stays: the garbage collector need not look through it again and again while events go by."""
    gc.collect()
    gc.freeze()


def _waiting(settings: Settings) -> None:
    """A cluster that is away makes the container no sicker than a broker that is."""
    clock = Clock()
    now, elapsed = clock.now(), clock.elapsed()
    status = Status(
        pid=os.getpid(),
        state="asking the cluster",
        written_at=now,
        polled_at=now,
        lag=None,
        hold=None,
        cycle=None,
        boot=this_boot(),
        written_elapsed=elapsed,
        polled_elapsed=elapsed,
    )
    with suppress(OSError):
        write_status(settings.status_file, status)
