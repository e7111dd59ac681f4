"""What the tests of notifications have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from consumer.ledger.watching.notifications import Channel
from schemas.watching.notifications import Notification, Phase

NOW = 1_000_000.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  (that of the standard's examples)


def message(name: str = "l-held-1", **more: Any) -> Notification:
    told: dict[str, Any] = {"kind": "held", "phase": Phase.BEGINS, "subject": f"about {name}", "way_out": "look"}
    told |= {"instance": "here", "ledger_id": "l", "at": datetime.fromtimestamp(NOW, UTC), **more}
    return Notification(id=name, **told)


class Way:
    """A channel that takes messages, or fails as told: None takes, an error is raised; the last one for ever."""

    def __init__(self, channel: Channel = Channel.WEBHOOK) -> None:
        self.channel = channel
        self.shown = f"{channel}://…"
        self.took: list[Notification] = []
        self.tries = 0
        self.will: list[Exception | None] = [None]

    def send(self, message: Notification) -> str | None:
        self.tries += 1
        answer = self.will.pop(0) if len(self.will) > 1 else self.will[0]
        if answer is not None:
            raise answer
        self.took.append(message)
        return None
