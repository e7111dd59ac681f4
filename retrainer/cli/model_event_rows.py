"""What `retrainer status` says of model events."""

from __future__ import annotations

from typing import Any


def model_events_in_words(found: dict[str, Any]) -> str:
    """What `consumer.operating.records.model_events_now` found, in a line or two."""
    waiting = ", ".join(f"{count} wait for the {channel}" for channel, count in found["waiting"].items())
    trouble = f": {found['trouble']}" if found["trouble"] else ""
    given_up = f"\n{found['given_up']} were given up: {found['given_up_because']}" if found["given_up"] else ""
    return f"{waiting}{trouble}{given_up}"
