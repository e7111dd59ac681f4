"""Waiting for a broker and the topics."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from kafka.errors import KafkaError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import ConsumerError
from consumer.kafka import tls_files
from consumer.kafka.adapter import KafkaPythonConsumer
from consumer.kafka.clients import BrokerUnreachable, failing_in_words, make_consumer
from consumer.kafka.group import Membership
from consumer.kafka.net import Failure
from consumer.kafka.options import LONGEST_WAIT, consumer_options, tokens_of
from consumer.kafka.refusals import in_words, without_secrets
from schemas.log_events.listener import BROKER_NOT_REACHED

log = structlog.get_logger()


class TopicMissing(ConsumerError):  # noqa: N818  (a reason to wait)
    """The topic is not there yet."""


def connect(
    settings: KafkaSettings,
    *,
    grouped: bool,
    stopping: threading.Event,
    waiting: Callable[[str, float], None],
    again: bool = False,
    await_topics: bool = True,
    member: Membership | None = None,
) -> KafkaPythonConsumer | None:
    """A consumer, once the broker answers and the topics are there; None when `stopping` was set first.

    A refusal is tried again, too: somebody may mend it meanwhile, at the broker or in a file of ours. Later failures to
    connect are logged with their reason, each once.

    Args:
        settings: where and how.
        grouped: whether to read as a member of the group.
        stopping: ends the wait.
        waiting: called before each pause with the reason and its length in seconds, at least every twenty seconds.
        again: whether these settings have made a consumer before. Then a file that is wrong now is being replaced.
        await_topics: whether to wait for topics that are not there.
        member: our name in the group.

    Raises:
        TopicMissing: a topic is not there, and `await_topics` is off.
        SettingsError: the client cannot use its settings or files, and no wait mends that.
    """
    if not again:
        tls_files.check(settings)

    def say(attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        reason = str(error.args[0]) if isinstance(error, ConsumerError) and error.args else str(error)
        waiting(without_secrets(reason, settings) or type(error).__name__, attempt.upcoming_sleep)

    retrying = Retrying(
        retry=retry_if_exception_type((KafkaError, TopicMissing) if await_topics else KafkaError),
        wait=wait_exponential_jitter(multiplier=0.5, max=LONGEST_WAIT, jitter=0.5),
        stop=stop_when_event_set(stopping),
        sleep=sleep_using_event(stopping),
        before_sleep=say,
        reraise=True,
    )
    try:
        return retrying(_connect, settings, grouped, stopping, again, member)
    except KafkaError:
        return None
    except TopicMissing:
        if not await_topics:
            raise
        return None


def _connect(
    settings: KafkaSettings, grouped: bool, stopping: threading.Event, again: bool, member: Membership | None
) -> KafkaPythonConsumer:
    if again and (wrong := tls_files.wrong(settings)) is not None:
        raise BrokerUnreachable(wrong)
    if (tokens := tokens_of(settings)) is not None:
        tokens.token()  # here and not on the client's thread, which would be held up
    options = consumer_options(settings, grouped=grouped, member=member)
    consumer, network = make_consumer(settings, options, stopping)
    try:
        with failing_in_words(settings, [network]):
            missing = [topic for topic in settings.topics if not consumer.partitions_for_topic(topic)]
        if missing:
            raise TopicMissing(f"topic {' and topic '.join(missing)} does not exist yet")
    except BaseException:
        consumer.close()
        raise
    network.end_with(None)
    network.report_to(lambda failure: _log(failure, settings))
    return consumer


def _log(failure: Failure, settings: KafkaSettings) -> None:
    log.warning(BROKER_NOT_REACHED, reason=in_words(failure, settings))
