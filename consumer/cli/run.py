"""`retrainer run`: the service."""

from __future__ import annotations

import signal
import sys
from contextlib import closing

from consumer.connection import connected
from consumer.ledger.ledger import open_ledger
from consumer.lock import only_one
from consumer.logs import configure
from consumer.service import Service
from consumer.settings import load_settings


def run() -> None:
    """Listen for change events and retrain, until told to stop (SIGTERM or Ctrl-C).

    A cycle that is under way is then given up, and resumed at the next start.
    """
    settings = load_settings()
    configure(settings.log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: sys.exit(0))  # while it waits for the cluster
    with only_one(settings.state_dir), closing(open_ledger(settings.ledger.url)) as ledger:
        service = Service(connected(settings), ledger)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _signal, _frame: service.stop())
        service.run()
