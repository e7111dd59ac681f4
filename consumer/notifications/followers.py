"""The threads of the notifications: one that watches, a courier for each channel, and the heartbeat."""

from __future__ import annotations

import threading
import time

from sqlalchemy.exc import DBAPIError

from consumer.clock import Clock
from consumer.identity import name_of
from consumer.ledger.ledger import Ledger
from consumer.ledger.watching.notifications import Message
from consumer.listener.ledger_backoff import in_short
from consumer.notifications.aloud import Aloud
from consumer.notifications.channels import Sender, channels_of, senders
from consumer.notifications.conditions import Limits
from consumer.notifications.facts import Looking
from consumer.notifications.heartbeat import Heartbeat
from consumer.notifications.queue import MessageQueue
from consumer.notifications.watch import Watch
from consumer.notifications.wording import Wording
from consumer.routine import Routine
from consumer.sending.courier import Courier
from consumer.sending.patience import Patience
from consumer.settings import Settings
from consumer.status import read_status
from consumer.trouble import Trouble
from schemas.log_events.notifications import NOTIFICATIONS_NOT_SENT, NOTIFICATIONS_SENT_AGAIN

PATIENCE = Patience(first=5.0, longest=900.0, gives_up_after=86_400.0)
"""What is a day old is no help to anybody."""


def followers(settings: Settings, ledger: Ledger) -> list[Routine]:
    """The threads that the settings ask for."""
    told = settings.notifications
    if not told.wanted and told.heartbeat is None:
        return []
    watch = _watch(settings, ledger)
    carried = [(f"notifications-{sender.channel.value}", _Carrying(ledger, sender)) for sender in senders(told)]
    found = [Routine("notifications", watch.run), *(Routine(name, one.run) for name, one in carried)]
    if told.heartbeat is not None:
        heartbeat = Heartbeat(told.heartbeat.get_secret_value(), lambda: watch.works)
        found.append(Routine("heartbeat", heartbeat.run))
    return found


def link_of(settings: Settings) -> str | None:
    """Where people find the page of the service."""
    if settings.notifications.link is not None:
        return settings.notifications.link
    status = read_status(settings.status_file)
    served: str | None = getattr(status, "http", None)
    return served


def wording_of(settings: Settings, ledger_id: str) -> Wording:
    """The words of the instance on this state folder."""
    return Wording(name_of(settings.state_dir), ledger_id, lambda: link_of(settings))


def _watch(settings: Settings, ledger: Ledger) -> Watch:
    told, clock = settings.notifications, Clock()
    return Watch(
        told,
        Limits(settings.health.max_age, told.no_version_for, told.dead_letters),
        ledger.notifications,
        Looking(settings, ledger, clock),
        wording_of(settings, ledger.ledger_id),
        channels_of(told),
        Aloud(senders(told), PATIENCE, clock.elapsed),
        clock,
    )


class _Carrying:
    """Carries to one channel; what has waited for a day before the start is not told any more."""

    def __init__(self, ledger: Ledger, sender: Sender) -> None:
        self._queue = MessageQueue(ledger.notifications, sender)
        self._trouble = Trouble(NOTIFICATIONS_NOT_SENT, NOTIFICATIONS_SENT_AGAIN, time.monotonic)

    def run(self, stopping: threading.Event) -> None:
        try:
            if count := self._queue.give_up(time.time() - PATIENCE.gives_up_after, "it waited for a day"):
                self._queue.tell_given_up(count, "it waited for a day")
        except DBAPIError as error:
            self._trouble.met(f"the ledger: {in_short(error)}")
        courier: Courier[Message] = Courier(self._queue, PATIENCE, self._trouble)
        courier.run(stopping)
