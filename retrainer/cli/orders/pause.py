"""`retrainer pause` and `resume`: no cycle starts, whoever asks for one."""

from __future__ import annotations

import time
from contextlib import closing

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from retrainer.cli.orders.common import By, MaybeWhy, Why, who, why
from retrainer.cli.output import say


def pause(reason: Why, by: By = None) -> None:
    """Let no cycle and no probe start, whatever asks for one; events are read on, and changes are kept.

    A cycle under way goes on to its end, and its version does not become champion by itself.
    """
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        ledger.orders.pause(by=who(by), reason=why(reason), now=time.time())
        running = ledger.views.running()
    under_way = f"; cycle {running['cycle_id']} goes on to its end" if running else ""
    say(f"cycles are paused{under_way}; `retrainer resume` lets them start again")


def resume(reason: MaybeWhy = "", by: By = None) -> None:
    """Let cycles start again; what was asked for meanwhile is taken up."""
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        stood = ledger.orders.resume(by=who(by), reason=reason.strip(), now=time.time())
    say(f"cycles start again; they were paused {stood.in_words}")
