"""Settings of the Kafka client: where change events are read, and how the connection is secured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from consumer.configuration.section import Seconds, Section, listed
from schemas.hopsworks import Source
from schemas.units import Unit

_K = "RETRAINER_KAFKA__"
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_BY_PASSWORD = ("sasl_username", "sasl_password")
_OAUTH = ("sasl_oauth_token_endpoint", "sasl_oauth_client_id", "sasl_oauth_client_secret")


def _address(value: str) -> str:
    """`host:port`, from which the scheme is taken away that other clients allow before it."""
    address = re.sub(rf"^({'|'.join(_PROTOCOLS)})://", "", value, flags=re.IGNORECASE)
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]\"',;@]+)(:(\d{1,5}))?", address)
    if found is None or not 0 < int(found[3] or 9092) < 2**16:
        raise ValueError(f"{value!r} is no address of a broker, which is host:port")
    return address


def _topic(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in {".", ".."}:
        raise ValueError("a topic has a name of letters, digits, '.', '_' and '-', 249 at most")
    return name


Topic = Annotated[str, AfterValidator(_topic)]
# Kafka's protocol has 32 bits for them.
Milliseconds = Annotated[int, Field(ge=1000, le=2**31 - 1), Unit("milliseconds")]


class KafkaSettings(Section):
    """Where change events are read, and how the client is secured."""

    bootstrap_servers: Annotated[
        list[Annotated[str, AfterValidator(_address)]], BeforeValidator(listed), Field(min_length=1)
    ] = ["localhost:9092"]
    """Brokers that are asked first, `host:port`; the port is 9092 where none is given."""
    source: Source = "notification"
    """What the records of the topic are."""
    topic: Topic = "spotify_user_embeddings_changes"
    """Topic of the change events; a cluster names the topic of the source where none is set."""
    label_topic: Topic | None = None
    """Where changes of labels are announced; None where that is the same topic, or the one that the cluster names."""
    group_id: Annotated[str, Field(min_length=1)] = "retrainer"
    """Consumer group. Services with one ledger share a group; services with different ledgers must not."""
    start: Literal["earliest", "latest"] = "earliest"
    """Where to begin on a partition that the ledger does not know. Earliest loses nothing."""
    session_timeout_ms: Milliseconds = 45_000
    """Time without a heartbeat after which the group gives the partitions of this service to others."""
    max_poll_interval_ms: Milliseconds = 300_000
    """Longest time between two polls before the group takes the partitions away."""
    max_poll_records: Annotated[int, Field(ge=1)] = 10_000
    """Most records that one poll hands over; polls of a backlog are stored together, where they may have 1,000."""
    request_timeout_ms: Annotated[int, Field(ge=1000, le=300_000), Unit("milliseconds")] = 30_000
    """After how long a broker that does not answer is given up. A new leader may be known no sooner."""
    metadata_max_age_ms: Annotated[int, Field(ge=500, le=2**31 - 1), Unit("milliseconds")] = 30_000
    """After how long at most added partitions, and leaders that moved, are found."""
    assignment: Literal["eager", "cooperative"] = "eager"
    """How partitions move among the members of the group; the same for all of them, or the broker refuses them."""
    commit_interval: Seconds = 5.0
    """How often Kafka's committed offsets follow the ledger, quiet partitions included."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Whether the connection is encrypted (SSL) and whether the service logs in (SASL)."""
    ssl_cafile: Path | None = None
    """The authorities that the brokers' certificates are checked by, PEM; those of this machine if None."""
    ssl_certfile: Path | None = None
    """Our own certificate, PEM, with those up to its authority; the key may be in the same file."""
    ssl_keyfile: Path | None = None
    """Key of our own certificate, PEM, where the key is not in the certificate's file."""
    ssl_password: SecretStr | None = None
    """Password of the key file."""
    ssl_check_hostname: bool = True
    """Whether a broker's certificate must name the host that the service connects to."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """How the service logs in, where the protocol has SASL."""
    sasl_username: str | None = None
    """User of PLAIN and SCRAM."""
    sasl_password: SecretStr | None = None
    """Password of PLAIN and SCRAM."""
    sasl_oauth_token_endpoint: str | None = None
    """Where tokens come from, by the client-credentials grant; https, or http on this machine."""
    sasl_oauth_client_id: str | None = None
    """Client that asks the token endpoint for tokens, for OAUTHBEARER."""
    sasl_oauth_client_secret: SecretStr | None = None
    """Secret of that client."""
    sasl_oauth_scope: str | None = None
    """Scope that the token is asked for; none asks for no scope."""
    sasl_oauth_cafile: Path | None = None
    """The authorities that the endpoint's certificate is checked by, PEM; those of this machine if None."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are listened to, each once."""
        return tuple(dict.fromkeys((self.topic, *([self.label_topic] if self.label_topic else []))))

    @field_validator("ssl_cafile", "ssl_certfile", "ssl_keyfile", "sasl_oauth_cafile")
    @classmethod
    def _can_be_read(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                path.open("rb").close()
            except OSError as error:
                raise ValueError(f"cannot read {path}: {error.strerror}") from None
        return path

    @field_validator("sasl_oauth_token_endpoint")
    @classmethod
    def _keeps_the_secret(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise ValueError("credentials belong into SASL_OAUTH_CLIENT_ID and SASL_OAUTH_CLIENT_SECRET")
        if not keeps_a_secret(url):
            raise ValueError(f"must be {SAFE_URL}")
        return url

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := list(_misfits(self)):
            raise ValueError("; ".join(problems))
        return self


SAFE_URL = "an https:// URL; http:// is for this machine only, as in http://127.0.0.1/token"


def keeps_a_secret(url: str) -> bool:
    """Whether what is sent to a URL is read by nobody on its way."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _misfits(kafka: KafkaSettings) -> Iterator[str]:
    """What is missing or contradicts itself, each with the way out."""
    protocol, mechanism = kafka.security_protocol, kafka.sasl_mechanism
    if protocol.startswith("SASL_") and mechanism is None:
        offered = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
        yield f"{_K}SECURITY_PROTOCOL={protocol} needs {_K}SASL_MECHANISM: {offered}"
    if mechanism is not None and not protocol.startswith("SASL_"):
        yield f"{_K}SASL_MECHANISM={mechanism} needs {_K}SECURITY_PROTOCOL=SASL_SSL, not {protocol}; or unset it"
    needed = {None: (), "OAUTHBEARER": _OAUTH}.get(mechanism, _BY_PASSWORD)
    if lacking := [f"{_K}{name.upper()}" for name in needed if getattr(kafka, name) is None]:
        yield f"{_K}SASL_MECHANISM={mechanism} needs {' and '.join(lacking)}"
    if kafka.ssl_certfile is None:
        for name in ("ssl_keyfile", "ssl_password"):
            if getattr(kafka, name) is not None:
                yield f"{_K}{name.upper()} is of no use without {_K}SSL_CERTFILE, the certificate of the key"
    if not protocol.endswith("SSL") and (kafka.ssl_cafile or kafka.ssl_certfile):
        name = "SSL_CAFILE" if kafka.ssl_cafile else "SSL_CERTFILE"
        secured = "SASL_SSL" if mechanism else "SSL"
        yield f"{_K}{name} is of no use with {_K}SECURITY_PROTOCOL={protocol}: set that to {secured}, or unset this"
