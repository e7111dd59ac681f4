"""Notifications: what people are told without asking, as one message that every channel carries.

A message tells of news once, or of an alert: when it begins, again while it lasts, and when it is over. No message
holds the id of a user, or a secret.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from schemas.base import Frozen


class News(StrEnum):
    """What happens and is over at once."""

    PROMOTION = "promotion"
    """A version became champion: by its cycle, by order of a person, or again after a rollback."""
    REFUSAL = "refusal"
    """A challenger was rejected, or the exam could not tell: no version."""


class AlertName(StrEnum):
    """What is wrong and lasts until somebody, or something, mends it."""

    HELD = "held"
    """The last cycle was held: the data are not believed."""
    FAILING = "failing"
    """The last cycle was given up, after all its attempts failed."""
    STALLED = "stalled"
    """The service cannot read, does not poll, or does nothing though there is work and nothing holds it back."""
    DEAD_LETTERS = "dead_letters"
    """Records that cannot be understood are open, or so many that reading has paused."""
    NO_VERSION = "no_version"
    """Changes have been waiting for long, and no version has learned them."""
    FRESHNESS_BROKEN = "freshness_broken"
    """The freshness promise is broken."""
    FRESHNESS_AT_RISK = "freshness_at_risk"
    """The freshness promise will not be kept if things go on like this."""
    TROUBLE = "trouble"
    """The ledger, or the disk, cannot be used."""
    GAPS = "gaps"
    """Events were lost before they were read, and no full retrain has made that good."""


KINDS: tuple[str, ...] = (*News, *AlertName)
"""What may be told, by name."""


class Phase(StrEnum):
    """What a message says of its kind."""

    HAPPENED = "happened"
    """News."""
    BEGINS = "begins"
    LASTS = "lasts"
    """The alert was told before, and is not over."""
    OVER = "over"
    TEST = "test"
    """Somebody tries the channels; nothing has happened."""


class Notification(Frozen):
    """One message."""

    id: str
    """The same whenever the message is sent again; also the `webhook-id`."""
    kind: str
    """One of `KINDS`, or `test`."""
    phase: Phase
    subject: str
    """What is the matter, in a sentence."""
    details: str = ""
    """More of it, in lines."""
    way_out: str | None = None
    """What a person can do, where there is anything to do."""
    link: str | None = None
    """The page of the service, where it is known."""
    instance: str
    """The service that tells, by its host and state folder."""
    ledger_id: str
    """Of the ledger that it works on: several services may share one, and one channel may serve several ledgers."""
    at: AwareDatetime
    """When it was found."""
    since: AwareDatetime | None = None
    """Since when an alert lasts."""

    def body(self) -> bytes:
        """The message as it goes to the webhook; the same bytes each time."""
        return self.model_dump_json().encode()

    @property
    def text(self) -> str:
        """All but the subject, for people."""
        lines = [
            self.details,
            f"To do: {self.way_out}" if self.way_out else "",
            f"Since: {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "",
            f"Page: {self.link}" if self.link else "",
            f"Told by {self.instance}, ledger {self.ledger_id}",
        ]
        return "\n".join(line for line in lines if line)
