"""`retrainer broker`: a broker on this machine, for trying things out."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from consumer.settings import load_settings
from consumer.stopping import on_stop
from retrainer.cli.output import say
from retrainer.demo.broker import embedded_broker
from retrainer.demo.errors import DemoError, DemoUsageError
from schemas.private import private_folder


def broker(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="On the loopback interface.")] = 19_092,
    log: Annotated[
        Path | None, typer.Option(help="Where its output goes. [default: broker.log in the state folder]")
    ] = None,
) -> None:
    """Run a broker that speaks Kafka's protocol on this machine, until asked to stop.

    It keeps everything in memory: events that the service has not read when it ends are gone, and the service puts that
    on record as a gap. It is for trying things out, and comes with `pip install 'retrainer[demo]'`.
    """
    if log is None:
        log = load_settings().state_dir / "broker.log"
        if not log.parent.exists():
            private_folder(log.parent)
    stopped = threading.Event()
    try:
        with suppress(KeyboardInterrupt), embedded_broker(log, port=port) as address:
            on_stop(lambda _signal: stopped.set())
            say(f"a broker listens on {address}; RETRAINER_KAFKA__BOOTSTRAP_SERVERS={address}")
            while not stopped.wait(0.5):
                pass
    except DemoError as error:
        say(f"retrainer broker: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, DemoUsageError) else 1) from None
