"""An Apache Kafka with secured listeners, and settings by which its clients get in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consumer.configuration.kafka import KafkaSettings
from tests.brokers.apache_kafka import ApacheKafka
from tests.brokers.oauth import CLIENT_ID, CLIENT_SECRET, SCOPE, TokenIssuer
from tests.brokers.security import PASSWORD, USER, Security
from tests.tls.certificates import Pki

_BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

WAYS = ("SSL", *_BY_PASSWORD, "OAUTHBEARER")
"""How a client says who it is: by its certificate, or by a SASL mechanism over TLS."""


@dataclass(frozen=True)
class SecureKafka:
    """Where it is (`plain` is its listener without security), and what proves who one is."""

    plain: str
    addresses: dict[str, str]
    pki: Pki
    issuer: TokenIssuer
    client_file: Path
    client_key_file: Path

    def options(self, way: str) -> dict[str, object]:
        """Settings of the Kafka client for one of `WAYS`."""
        tls = {"ssl_cafile": self.pki.ca_file}
        if way == "SSL":
            certificate = {"ssl_certfile": self.client_file, "ssl_keyfile": self.client_key_file}
            return {**self._at("SSL"), "security_protocol": "SSL", **tls, **certificate}
        sasl = {**self._at("SASL"), "security_protocol": "SASL_SSL", **tls, "sasl_mechanism": way}
        if way in _BY_PASSWORD:
            return {**sasl, "sasl_username": USER, "sasl_password": PASSWORD}
        return {
            **sasl,
            "sasl_oauth_token_endpoint": self.issuer.endpoint,
            "sasl_oauth_client_id": CLIENT_ID,
            "sasl_oauth_client_secret": CLIENT_SECRET,
            "sasl_oauth_scope": SCOPE,
            "sasl_oauth_cafile": self.pki.ca_file,
        }

    def settings(self, way: str, topic: str, listener: str | None = None, **other: object) -> KafkaSettings:
        """Settings for a topic; `listener` is another than the way's own, and an option that is None is left out."""
        options = {**self.options(way), **(self._at(listener) if listener else {}), **other}
        given = {name: value for name, value in options.items() if value is not None}
        return KafkaSettings.model_validate({"topic": topic, "group_id": f"g-{topic}", **given})

    def _at(self, listener: str) -> dict[str, object]:
        return {"bootstrap_servers": [self.plain if listener == "PLAINTEXT" else self.addresses[listener]]}


_ATTEMPTS = 3


@contextmanager
def secure_kafka(folder: Path) -> Iterator[SecureKafka]:
    """A broker of its own in a folder, and its token issuer, for as long as the block runs."""
    pki = Pki(folder / "pki")
    client_file, client_key_file = folder / "client.pem", folder / "client.key"
    client_file.write_text(pki.client_pem)
    client_key_file.write_text(pki.client_key_pem)
    issuer = TokenIssuer(folder, pki.server_file)
    broker = _started(folder, Security(pki, issuer))
    try:
        yield SecureKafka(broker.address, broker.addresses, pki, issuer, client_file, client_key_file)
    finally:
        broker.kill()
        issuer.close()


def _started(folder: Path, security: Security) -> ApacheKafka:
    """A broker that answers. Between the choice of its many ports and its start somebody else may take one."""
    for attempt in range(_ATTEMPTS):
        place = folder / f"broker-{attempt}"
        place.mkdir()
        broker = ApacheKafka(place, security)
        try:
            broker.start()
        except AssertionError:
            broker.kill()
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            return broker
    raise AssertionError("no attempt was made")
