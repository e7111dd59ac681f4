"""A secured Apache Kafka: every way in works for all clients, and every refusal is told in words."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic, UserScramCredentialUpsertion
from structlog.testing import capture_logs

from consumer.clock import Clock
from consumer.errors import SettingsError
from consumer.kafka import clients, options
from consumer.kafka.connecting import connect
from consumer.kafka.oauth import token_provider
from consumer.kafka.options import admin_options, producer_options
from consumer.ledger.ledger import open_ledger
from consumer.listener.listener import Listener
from consumer.listener.state import ListenerState
from consumer.settings import Settings
from schemas.log_events.listener import BROKER_NOT_REACHED, WAITING_FOR_BROKER
from tests.brokers.oauth import CLIENT_SECRET
from tests.brokers.secure_kafka import WAYS, SecureKafka
from tests.brokers.security import NOWHERE, PASSWORD
from tests.integration.connecting import assert_matches, connecting, silent
from tests.integration.topics import Topic
from tests.tls.certificates import Pki
from tests.waiting import wait_until
from tests.worlds import GROUP, names

_WRONG = "wrong-by-far"
_NONE = {"ssl_cafile": None, "ssl_certfile": None, "ssl_keyfile": None}


@pytest.fixture(autouse=True)
def fresh(secure_kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No token of another test, and less patience with a broker that does not answer."""
    monkeypatch.setattr(options, "_BOOTSTRAP_MS", 1000)
    secure_kafka.issuer.behave()
    token_provider.cache_clear()
    before = set(threading.enumerate())
    yield
    left = {thread for thread in threading.enumerate() if thread.name.startswith("kafka-io")} - before
    assert not left


@pytest.fixture(scope="module")
def topic(secure_kafka: SecureKafka) -> Topic:
    return Topic.new(secure_kafka.plain, partitions=1)


def read_from(consumer: Any, topic: Topic, count: int) -> list[bytes]:
    partition = TopicPartition(topic.name, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    return read_on(consumer, count)


def read_on(consumer: Any, count: int) -> list[bytes]:
    found: list[bytes] = []

    def enough() -> bool:
        for records in consumer.poll(timeout_ms=200).values():
            found.extend(record.value for record in records)
        return len(found) >= count

    wait_until(enough, 20, f"{count} records")
    return found


@pytest.mark.parametrize("way", WAYS)
def test_admin_producer_and_consumer_get_in(secure_kafka: SecureKafka, way: str) -> None:
    topic = Topic(secure_kafka.plain, f"way-{way}")
    settings = secure_kafka.settings(way, topic.name)
    with closing(KafkaAdminClient(**admin_options(settings))) as admin:
        admin.create_topics([NewTopic(name=topic.name, num_partitions=1, replication_factor=1)])
    with closing(KafkaProducer(**producer_options(settings))) as producer:
        producer.send(topic.name, b"hello").get(20)
    with connecting(settings) as it:
        it.gets_in()
        assert read_from(it.consumer, topic, 1) == [b"hello"]
    assert secure_kafka.issuer.given == (way == "OAUTHBEARER"), "one token for all three"


def test_the_key_may_be_encrypted(secure_kafka: SecureKafka, topic: Topic, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(secure_kafka.pki.client_key_pem.encode(), None)
    encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    with connecting(secure_kafka.settings("SSL", topic.name, ssl_keyfile=encrypted, ssl_password=PASSWORD)) as it:
        it.gets_in()
    with pytest.raises(SettingsError, match=r"encrypted\.key holds no private key .* a password may be needed"):
        connect(
            secure_kafka.settings("SSL", topic.name, ssl_keyfile=encrypted),
            grouped=False,
            stopping=threading.Event(),
            waiting=lambda reason, _: pytest.fail(reason),
        )


def test_scram_without_tls_and_a_certificate_for_another_host_are_taken_where_that_is_said(
    secure_kafka: SecureKafka, topic: Topic
) -> None:
    plain = secure_kafka.settings("SCRAM-SHA-512", topic.name, "SCRAM", security_protocol="SASL_PLAINTEXT", **_NONE)
    unchecked = secure_kafka.settings("SSL", topic.name, "ELSEWHERE", ssl_check_hostname=False)
    for settings in (plain, unchecked):
        with connecting(settings) as it:
            it.gets_in()


def test_the_listener_reads_by_its_certificate(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    topic = Topic.new(secure_kafka.plain)
    topic.send_users(names(30))
    kafka = secure_kafka.settings("SSL", topic.name, session_timeout_ms=6000)
    settings = Settings(state_dir=tmp_path, feature_group=GROUP.model_copy(update={"id": 13}), kafka=kafka)
    with closing(open_ledger(settings.ledger.url)) as ledger:
        listener = Listener(settings, ledger.intake, Clock(), lambda: None)
        listener.start()
        wait_until(lambda: ledger.views.read().events == 30, 30, "the events")
        listener.stop()
        listener.join(100)
        assert not listener.is_alive()
        assert listener.failure is None


@pytest.mark.parametrize(
    ("way", "listener", "changes", "said"),
    [
        ("SSL", None, {"ssl_certfile": None, "ssl_keyfile": None}, "wants a client certificate: set RETRAINER_KAFKA__"),
        ("SSL", None, {"ssl_cafile": None}, "no authority that this machine knows .* set RETRAINER_KAFKA__SSL_CAFILE"),
        ("SSL", "ELSEWHERE", {}, "for another host, see RETRAINER_KAFKA__SSL_CHECK_HOSTNAME"),
        ("SSL", "PLAINTEXT", {}, "speaks no TLS there, see RETRAINER_KAFKA__SECURITY_PROTOCOL=SSL"),
        ("SSL", "SASL", {}, "closed the connection; .*RETRAINER_KAFKA__SECURITY_PROTOCOL=SSL"),
        ("SSL", "SSL", {"security_protocol": "PLAINTEXT", **_NONE}, "speaks TLS.*SECURITY_PROTOCOL=PLAINTEXT"),
        ("SSL", "AWAY", {}, f"^{NOWHERE}: .*REFUSED"),
        ("PLAIN", None, {"sasl_password": _WRONG}, "refuses .*SASL_USERNAME=retrainer or its password for PLAIN"),
        ("SCRAM-SHA-256", None, {"sasl_password": _WRONG}, "or its password for SCRAM-SHA-256 .*invalid credentials"),
        ("SCRAM-SHA-512", None, {"sasl_username": "who"}, "SASL_USERNAME=who or its password for SCRAM-SHA-512"),
        (
            "PLAIN",
            "SCRAM",
            {"security_protocol": "SASL_PLAINTEXT", "ssl_cafile": None},
            "does not offer .*=PLAIN there",
        ),
        ("PLAIN", "AWAY", {}, "wants no SASL there, see RETRAINER_KAFKA__SECURITY_PROTOCOL=SASL_SSL"),
        ("OAUTHBEARER", None, {"sasl_oauth_client_secret": _WRONG}, "no token from https.*HTTP 401 .invalid_client"),
        ("OAUTHBEARER", None, {"sasl_oauth_cafile": None}, "no token from https.*CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_a_refusal_is_told_in_words(
    secure_kafka: SecureKafka, topic: Topic, way: str, listener: str | None, changes: dict[str, object], said: str
) -> None:
    with connecting(secure_kafka.settings(way, topic.name, listener, **changes)) as it:
        assert_matches(it.reason(), said)
    assert not any(secret in reason for reason in it.reasons for secret in (PASSWORD, _WRONG, CLIENT_SECRET))


@pytest.mark.parametrize(
    ("ours", "said"),
    [(False, "no authority in RETRAINER_KAFKA__SSL_CAFILE="), (True, "refuses the client certificate .*SSL_CERTFILE=")],
)
def test_certificates_of_strangers_are_refused(
    secure_kafka: SecureKafka, topic: Topic, tmp_path: Path, ours: bool, said: str
) -> None:
    stranger = Pki(tmp_path / "stranger")
    (tmp_path / "both.pem").write_text(stranger.client_pem + stranger.client_key_pem)
    changes = {"ssl_certfile": tmp_path / "both.pem", "ssl_keyfile": None} if ours else {"ssl_cafile": stranger.ca_file}
    with connecting(secure_kafka.settings("SSL", topic.name, None, **changes)) as it:
        assert_matches(it.reason(), said)


def test_a_refusal_is_told_at_once_and_leaves_no_socket(
    secure_kafka: SecureKafka, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_BOOTSTRAP_MS", 60_000)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    try:
        gc.disable()
        with connecting(secure_kafka.settings("SSL", topic.name, ssl_cafile=None)) as it:
            it.reason()
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files
    finally:
        gc.enable()


def test_a_user_who_is_made_while_we_wait_gets_in(secure_kafka: SecureKafka, topic: Topic) -> None:
    settings = secure_kafka.settings("SCRAM-SHA-512", topic.name, sasl_username="a,b=c", sasl_password=_WRONG)
    with connecting(settings) as it:
        assert_matches(it.reason(), "SASL_USERNAME=a,b=c")
        with closing(KafkaAdminClient(bootstrap_servers=secure_kafka.plain)) as admin:
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion("a,b=c", "SCRAM-SHA-512", _WRONG)])
        it.gets_in()


@pytest.mark.parametrize("wrong", [{"lifetime": -60.0}, {"forges": True}])
def test_a_token_that_the_broker_refuses_is_not_sent_again(
    secure_kafka: SecureKafka, topic: Topic, wrong: dict[str, object]
) -> None:
    for name, value in wrong.items():
        setattr(secure_kafka.issuer, name, value)
    with connecting(secure_kafka.settings("OAUTHBEARER", topic.name)) as it:
        assert_matches(it.reason(), f"refuses the token of {secure_kafka.issuer.endpoint} .*invalid_token")
        secure_kafka.issuer.behave()
        it.gets_in()


def test_tokens_are_renewed_under_an_open_connection(secure_kafka: SecureKafka) -> None:
    topic = Topic.new(secure_kafka.plain, partitions=1)
    secure_kafka.issuer.lifetime = secure_kafka.issuer.expires_in = 2.0
    with connecting(secure_kafka.settings("OAUTHBEARER", topic.name)) as it, capture_logs() as logs:
        it.gets_in()
        topic.send([(None, b"first", ())])
        assert read_from(it.consumer, topic, 1) == [b"first"]
        wait_until(lambda: it.consumer.poll(100) or secure_kafka.issuer.given >= 3, 20, "the token to be renewed twice")
        topic.send([(None, b"second", ())])
        assert read_on(it.consumer, 1) == [b"second"]
    assert logs == []


@pytest.mark.parametrize(
    ("half", "said"),
    [
        (False, "refuses the client certificate RETRAINER_KAFKA__SSL_CERTFILE="),
        (True, "RETRAINER_KAFKA__SSL_CERTFILE: .* holds no certificate in PEM"),
    ],
    ids=["a stranger's", "half-written"],
)
def test_a_new_certificate_is_taken_and_a_wrong_one_told_of(
    secure_kafka: SecureKafka, tmp_path: Path, half: bool, said: str
) -> None:
    topic = Topic.new(secure_kafka.plain, partitions=1)
    mine, stranger = tmp_path / "mine.pem", Pki(tmp_path / "stranger")
    good = secure_kafka.pki.client_key_pem + secure_kafka.pki.client_pem
    mine.write_text(good)
    with connecting(secure_kafka.settings("SSL", topic.name, ssl_certfile=mine, ssl_keyfile=None)) as it:
        it.gets_in()
        topic.send([(None, b"first", ())])
        assert read_from(it.consumer, topic, 1) == [b"first"]
        mine.write_text(good[: len(good) // 2] if half else stranger.client_key_pem + stranger.client_pem)
        with capture_logs() as logs:
            hang_up(it.consumer)
            wait_until(lambda: it.consumer.poll(100) or failures(it.consumer) >= 3, 20, "three failures to connect")
        assert len(logs) == 1
        assert logs[0]["event"] == BROKER_NOT_REACHED
        assert_matches(logs[0]["reason"], said)
        mine.write_text(good)
        topic.send([(None, b"second", ())])
        assert read_on(it.consumer, 1) == [b"second"]


class Erratic(KafkaConsumer):  # type: ignore[misc]
    """Is beside itself whenever it is told to be, and has to be replaced by another one."""

    beside_itself = threading.Event()

    def poll(self, *arguments: Any, **named: Any) -> Any:
        if self.beside_itself.is_set():
            self.beside_itself.clear()
            raise RuntimeError("beside itself")
        return super().poll(*arguments, **named)


@pytest.mark.full
@pytest.mark.parametrize("half", ["certificate", "key", "authorities", "gone"])
def test_a_file_that_is_half_written_when_another_client_connects_is_waited_for(
    secure_kafka: SecureKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    monkeypatch.setattr(clients, "KafkaConsumer", Erratic)
    topic = Topic.new(secure_kafka.plain, partitions=1)
    topic.send_users(names(10))
    files = {"certificate": tmp_path / "mine.pem", "key": tmp_path / "mine.key", "authorities": tmp_path / "ca.pem"}
    originals = secure_kafka.client_file, secure_kafka.client_key_file, secure_kafka.pki.ca_file
    good = dict(zip(files, map(Path.read_text, originals), strict=True))
    for name, path in files.items():
        path.write_text(good[name])
    kafka = secure_kafka.settings(
        "SSL",
        topic.name,
        session_timeout_ms=6000,
        ssl_certfile=files["certificate"],
        ssl_keyfile=files["key"],
        ssl_cafile=files["authorities"],
    )
    settings = Settings(state_dir=tmp_path, feature_group=GROUP.model_copy(update={"id": 13}), kafka=kafka)
    with closing(open_ledger(settings.ledger.url)) as ledger:
        listener = Listener(settings, ledger.intake, Clock(), lambda: None)
        listener.start()
        wait_until(lambda: ledger.views.read().events == 10, 30, "the events")
        if half == "gone":
            files["key"].unlink()
        else:
            files[half].write_text(good[half][: len(good[half]) // 2])
        with capture_logs() as logs:
            Erratic.beside_itself.set()
            wait_until(
                lambda: listener.status.state == ListenerState.WAITING_FOR_BROKER or listener.failure, 30, "it to wait"
            )
        named = files["key" if half == "gone" else half]
        assert any(log["event"] == WAITING_FOR_BROKER and str(named) in log["reason"] for log in logs)
        topic.send_users(names(10, start=10))
        for name, path in files.items():
            path.write_text(good[name])
        wait_until(lambda: ledger.views.read().events == 20, 30, "it to read on")
        listener.stop()
        listener.join(100)
        assert listener.failure is None


def hang_up(consumer: Any) -> None:
    """As a broker does that is started again."""
    network = consumer._network
    network._net.call_soon_threadsafe(lambda: network.close(1))


@pytest.mark.parametrize("protocol", ["SSL", "PLAINTEXT"])
def test_somebody_who_takes_the_call_and_is_silent_can_be_waited_for(
    secure_kafka: SecureKafka, topic: Topic, protocol: str
) -> None:
    with silent() as address:
        changes = {} if protocol == "SSL" else _NONE
        options = {"bootstrap_servers": [address], "security_protocol": protocol, **changes}
        with connecting(secure_kafka.settings("SSL", topic.name, None, **options)) as it:
            assert_matches(it.reason(), "no answer to the TLS handshake" if protocol == "SSL" else "timed out")


def test_stopping_does_not_wait_until_time_is_up(
    secure_kafka: SecureKafka, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_BOOTSTRAP_MS", 60_000)
    with silent() as address, connecting(secure_kafka.settings("SSL", topic.name, bootstrap_servers=[address])) as it:
        wait_until(lambda: any(thread.name.startswith("kafka-io") for thread in threading.enumerate()), 10, "a start")
    assert it.reasons == []


def failures(consumer: Any) -> int:
    """How often in a row it could not connect to the broker."""
    return int(consumer._network._manager._backoff.get(1, (0,))[0])
