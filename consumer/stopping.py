"""The signals that ask a process to stop in good order: SIGTERM, Ctrl-C, and the closing of its terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask this process to stop. One that `nohup` has it ignore (SIGHUP) is none of them."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT) if ignored else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def on_stop(stop: Callable[[signal.Signals], None]) -> None:
    """Have `stop` called, with the signal, when this process is asked to stop. It replaces what was called before."""
    for number in stop_signals():
        signal.signal(number, lambda came, _frame: stop(signal.Signals(came)))
