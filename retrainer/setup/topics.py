"""Topics: made through the project where Kafka is the cluster's own, else through the brokers.

Once an hour Hopsworks removes topics that it does not know from its own Kafka. With an external Kafka it claims to have
made a topic and does nothing. So the project is asked to make the topic, and the brokers are asked whether it exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kafka.errors import KafkaError, TopicAlreadyExistsError
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import ConsumerError
from retrainer.doctor.brokers import admin
from retrainer.doctor.checks import CheckFailed
from stores.errors import NotThere, Refused

if TYPE_CHECKING:
    from stores.hopsworks.session import Session

_COPIES = 3  # of a partition, where there are enough brokers
_SEEN_WITHIN = 10.0  # seconds until the brokers show a topic that the project has made
_UNKNOWN, _DENIED = 3, 29
_CONFLICT = 409
_EMPTY_SCHEMA = {"type": "record", "name": "change", "fields": []}


class Topics:
    """The topics of one Kafka.

    Args:
        session: with the cluster; None where the brokers are not the cluster's.
        kafka: how the brokers are reached.
    """

    def __init__(self, session: Session | None, kafka: KafkaSettings) -> None:
        self._session = session
        self._kafka = kafka

    def partitions(self, topic: str) -> int | None:
        """The number of partitions of a topic; None where the topic does not exist.

        Raises:
            ConsumerError: the brokers do not say, or lack a topic that Hopsworks lists.
            ClusterError: Hopsworks does not say.
        """
        if (count := self._on_brokers(topic)) is not None:
            return count
        if self._session is not None and topic in self._listed(self._session):
            raise ConsumerError(
                f"Hopsworks lists topic {topic}, but the brokers do not show it; delete it in the project (Kafka > "
                "topics), and run this again"
            )
        return None

    def make(self, topic: str, partitions: int) -> None:
        """Make a topic that does not exist.

        Raises:
            ConsumerError: the brokers do not make it.
            ClusterError: the cluster does not make it.
        """
        copies = min(_COPIES, self._brokers())
        if self._session is not None:
            self._make_in_project(self._session, topic, partitions, copies)
            if self._is_seen(topic):
                return
        try:
            with _connected(self._kafka) as client, suppress(TopicAlreadyExistsError):
                client.create_topics({topic: {"num_partitions": partitions, "replication_factor": copies}})
        except KafkaError as error:
            raise ConsumerError(f"the brokers do not make topic {topic}: {error}") from None

    def _listed(self, session: Session) -> list[str]:
        api = session.project.get_kafka_api()
        return [topic.name for topic in session.ask("list the project's topics", api.get_topics)]

    def _make_in_project(self, session: Session, topic: str, partitions: int, copies: int) -> None:
        from stores.hopsworks.failures import status_of

        api, what = session.project.get_kafka_api(), f"make topic {topic}"

        def attempt(schema: str | None, version: int | None) -> None:
            try:
                api.create_topic(topic, schema, version, replicas=copies, partitions=partitions)
            except Exception as error:
                if status_of(error) != _CONFLICT:
                    raise
                raise Refused(
                    f"Hopsworks does not make topic {topic}: the name is taken, perhaps by another project; "
                    "set RETRAINER_KAFKA__TOPIC to another"
                ) from None

        try:
            session.once(what, lambda: attempt(None, None))
        except NotThere:
            # Our records have no Avro schema. Known servers need none, but the SDK's signature does.
            session.once(f"make a schema for {topic}", lambda: api.create_schema(topic, _EMPTY_SCHEMA))
            session.once(what, lambda: attempt(topic, 1))

    def _brokers(self) -> int:
        with _connected(self._kafka) as client:
            return len(client.describe_cluster()["brokers"])

    def _is_seen(self, topic: str) -> bool:
        try:
            Retrying(
                retry=retry_if_result(lambda count: count is None),
                wait=wait_fixed(0.3),
                stop=stop_after_delay(_SEEN_WITHIN),
            )(self._on_brokers, topic)
        except RetryError:
            return False
        return True

    def _on_brokers(self, topic: str) -> int | None:
        with _connected(self._kafka) as client:
            (described,) = client.describe_topics([topic])
        if described["error_code"] in {
            _UNKNOWN,
            _DENIED,
        }:  # Hopsworks' own Kafka says denied for a topic that does not exist
            return None
        if described["error_code"]:
            raise ConsumerError(f"the brokers answer with error {described['error_code']} about topic {topic}")
        return len(described["partitions"])


@contextmanager
def _connected(kafka: KafkaSettings) -> Iterator[Any]:
    try:
        with admin(kafka) as client:
            yield client
    except CheckFailed as failure:
        raise ConsumerError(f"{failure.finding.found}; {failure.finding.todo}") from None
