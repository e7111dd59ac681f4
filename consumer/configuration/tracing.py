"""Settings of traces: where they go."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from consumer.configuration.kafka import SAFE_URL, keeps_a_secret
from consumer.configuration.section import Section

_T = "RETRAINER_TRACING__"
_NEEDED = "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"


def _nothing(value: object) -> object:
    return None if value == "" else value


class TracingSettings(Section):
    """A trace of each cycle for any collector that speaks OTLP/HTTP. Needs the extra `retrainer[tracing]`."""

    enabled: bool = False
    """Send traces. An endpoint turns this on, too; without one it is what OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
    OTEL_EXPORTER_OTLP_ENDPOINT says, or http://localhost:4318."""
    endpoint: Annotated[str | None, BeforeValidator(_nothing)] = Field(
        default=None, examples=["http://otel-collector:4318"]
    )
    """The collector, http or https, to whose path `/v1/traces` is added where it does not end so."""
    headers: SecretStr | None = None
    """Headers for the collector, such as a key: `name=value`, with commas between. If None, what
    OTEL_EXPORTER_OTLP_HEADERS says."""
    service_name: str | None = None
    """What the service is called in traces; if None, what OTEL_SERVICE_NAME says, or `retrainer`."""

    @property
    def wanted(self) -> bool:
        """Whether traces are sent."""
        return self.enabled or self.endpoint is not None

    @field_validator("endpoint")
    @classmethod
    def _is_a_collector(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be an http:// or https:// URL")
            if "@" in parts.netloc or parts.query:
                raise ValueError(f"secrets do not belong into the URL; {_T}HEADERS carries them")
        return url

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: SecretStr | None) -> SecretStr | None:
        if headers is not None:
            headers_of(headers)
        return headers

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.headers is not None and self.endpoint is not None and not keeps_a_secret(self.endpoint):
            raise ValueError(f"{_T}HEADERS are a secret, so {_T}ENDPOINT must be {SAFE_URL}")
        if self.wanted and not all(map(_is_there, _NEEDED)):
            raise ValueError(f"{_T}ENDPOINT needs the extra: `pip install 'retrainer[tracing]'`; or unset it")
        return self


def headers_of(headers: SecretStr) -> dict[str, str]:
    """The headers by name.

    Raises:
        ValueError: they are written otherwise. The message does not hold them.
    """
    pairs = [one.partition("=") for one in headers.get_secret_value().split(",")]
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if not all(name and value and (name + value).isprintable() for name, value in found.items()):
        raise ValueError("headers are `name=value`, with commas between")
    return found


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
