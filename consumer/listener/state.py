"""What the listener may be doing, in the words that `retrainer status` shows."""

from __future__ import annotations

from enum import StrEnum


class ListenerState(StrEnum):
    """What the listener is doing, or why it does not read."""

    CONNECTING = "connecting"
    WAITING_FOR_BROKER = "waiting for broker"
    RECONNECTING = "reconnecting"
    JOINING = "joining"
    PLACING = "placing"
    LISTENING = "listening"
    STANDING_BY = "standing by"
    POLL_FAILS = "poll fails"
    BROKER_AWAY = "broker away"
    LEDGER_REFUSES = "ledger does not take changes"
    TOO_MANY_DEAD_LETTERS = "too many dead letters"
    STOPPED = "stopped"
