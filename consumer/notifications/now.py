"""How it stands with notifications now: for `retrainer status`, its check, and `retrainer notify`."""

from __future__ import annotations

from typing import Any

from consumer.ledger.ledger import Ledger
from consumer.ledger.records import when
from consumer.notifications.channels import channels_of
from consumer.settings import Settings


def notifications_now(settings: Settings, ledger: Ledger) -> dict[str, Any] | None:
    """What waits for each channel that is set, what is in its way, and the alerts on record; None where none is set."""
    if not (channels := channels_of(settings.notifications)):
        return None
    box = ledger.notifications
    return {
        "channels": {
            channel.value: {"waiting": box.count_waiting(channel), "trouble": box.trouble(channel)}
            for channel in channels
        },
        "left_out": box.last_error(),
        "alerts": [
            {"name": one.name, "since": when(one.since), "told_at": when(one.told_at), "summary": one.summary}
            for one in box.alerts()
        ],
    }


def notifications_in_words(found: dict[str, Any]) -> str:
    """The same in a line or two, without the alerts: other lines say what is wrong."""
    lines = [
        f"{channel}: {one['waiting']} wait{'s' if one['waiting'] == 1 else ''}"
        + (f"; {one['trouble']}" if one["trouble"] else "")
        for channel, one in found["channels"].items()
    ]
    return "\n".join([*lines, *([f"not everybody has the last one: {found['left_out']}"] if found["left_out"] else [])])


def channels_in_trouble(found: dict[str, Any]) -> list[str]:
    """A line for each channel that does not take messages."""
    lines = [
        f"notifications do not get through by {channel}: {one['trouble']}"
        for channel, one in found["channels"].items()
        if one["trouble"]
    ]
    return [*lines, *([f"not everybody has the last notification: {found['left_out']}"] if found["left_out"] else [])]
