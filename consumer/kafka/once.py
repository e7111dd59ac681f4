"""A consumer for a command that does its work and ends: it waits for a broker for a while, and for no topic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from consumer.configuration.kafka import KafkaSettings
from consumer.deadline import Deadline
from consumer.errors import ConsumerError
from consumer.kafka.connecting import TopicMissing, connect
from consumer.kafka.ports import TopicReader


@contextmanager
def consumer_for_once(settings: KafkaSettings, deadline: Deadline, say: Callable[[str], None]) -> Iterator[TopicReader]:
    """A consumer without a group, for as long as the block runs; `say` gets a line about each wait.

    Raises:
        TimedOut: no broker could be used for too long.
        ConsumerError: a topic is not there.
        SettingsError: the client cannot use its settings or files.
    """
    stopping = threading.Event()
    left = deadline.left
    timer = threading.Timer(left, stopping.set) if left < threading.TIMEOUT_MAX else None
    reasons: list[str] = []

    def waiting(reason: str, pause: float) -> None:
        reasons.append(reason)
        say(f"waiting for the broker, next try in {pause:.0f} s: {reason}")

    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        consumer = connect(settings, grouped=False, stopping=stopping, waiting=waiting, await_topics=False)
    except TopicMissing as error:
        raise ConsumerError(_missing(str(error), settings)) from None
    finally:
        if timer is not None:
            timer.cancel()
    where = ", ".join(settings.bootstrap_servers)
    if consumer is None:
        deadline.check(f"broker {where} did not answer{f' ({reasons[-1]})' if reasons else ''}")
        raise ConsumerError(f"broker {where} did not answer")  # the timer was a moment faster than the clock
    deadline.moved()
    with closing(consumer):
        yield consumer


def _missing(what: str, settings: KafkaSettings) -> str:
    where = ", ".join(settings.bootstrap_servers)
    names = "RETRAINER_KAFKA__TOPIC" + (" or __LABEL_TOPIC" if settings.label_topic else "")
    named = what.replace("does not exist yet", f"does not exist on {where}")
    return f"{named}, or may not be seen by this user: create it, or correct {names}"
