"""What `retrainer status` says of model events."""

from __future__ import annotations

from typing import Any

from consumer.ledger.ledger import Ledger
from consumer.ledger.outbox import Channel
from consumer.model_events.followers import channels_of
from consumer.settings import Settings


def model_events_now(settings: Settings, ledger: Ledger) -> dict[str, Any] | None:
    """How many events wait for each channel that is set, and what the webhook never got; None where none is set."""
    if not (channels := channels_of(settings)):
        return None
    by_webhook = Channel.WEBHOOK in channels
    gone = ledger.outbox.given_up() if by_webhook else None
    return {
        "waiting": {channel.value: ledger.outbox.count_waiting(channel) for channel in channels},
        "trouble": ledger.outbox.trouble() if by_webhook else None,
        "given_up": gone.events if gone else 0,
        "given_up_because": gone.last_error if gone else None,
    }


def model_events_in_words(found: dict[str, Any]) -> str:
    """The same in a line or two."""
    waiting = ", ".join(f"{count} wait for the {channel}" for channel, count in found["waiting"].items())
    trouble = f": {found['trouble']}" if found["trouble"] else ""
    given_up = f"\n{found['given_up']} were given up: {found['given_up_because']}" if found["given_up"] else ""
    return f"{waiting}{trouble}{given_up}"
