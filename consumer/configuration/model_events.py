"""Settings of the model events: the topic and the webhook that they go to."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from consumer.configuration.kafka import SAFE_URL, Topic, keeps_a_secret
from consumer.configuration.section import Section

SECRET_PREFIX = "whsec_"  # noqa: S105  (the prefix that Standard Webhooks gives to secrets)
_LEAST, _MOST = 24, 64  # bytes of a secret, by Standard Webhooks


def _nothing(value: object) -> object:
    return None if value == "" else value


class ModelEventSettings(Section):
    """Where it is told what happens to versions: on a topic, and by a signed webhook. Both are off where not set."""

    topic: Annotated[Topic | None, BeforeValidator(_nothing)] = Field(
        default=None, examples=["retrainer.model-versions"]
    )
    """The topic, on the brokers of the change events, to which model events go; none for no topic."""
    webhook: Annotated[SecretStr | None, BeforeValidator(_nothing)] = None
    """URL to which each model event is sent by POST, https, or http on this machine; none for no webhook. The URL may
    hold a secret itself, so it is never shown whole."""
    webhook_secret: SecretStr | None = None
    """The secret that the webhook is signed with, `whsec_` and 24 to 64 bytes in base64 (Standard Webhooks). To
    change it, name the new one and the old one with a space between: the webhook then carries both signatures."""
    webhook_cafile: Path | None = None
    """The authorities that the webhook's certificate is checked by, PEM; those of this machine if None."""

    @field_validator("webhook")
    @classmethod
    def _keeps_the_secret(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            text = url.get_secret_value()
            if "@" in urlsplit(text).netloc:
                raise ValueError("credentials do not belong into the URL: the signature shows who sends")
            if not keeps_a_secret(text):
                raise ValueError(f"must be {SAFE_URL}")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _is_a_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            keys_of(secret)
        return secret

    @field_validator("webhook_cafile")
    @classmethod
    def _can_be_read(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                path.open("rb").close()
            except OSError as error:
                raise ValueError(f"cannot read {path}: {error.strerror}") from None
        return path

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        name = "RETRAINER_MODEL_EVENTS__WEBHOOK"
        if self.webhook is not None and self.webhook_secret is None:
            raise ValueError(f"{name} needs {name}_SECRET_FILE: a file with `whsec_` and a secret in base64")
        return self


def keys_of(secret: SecretStr) -> tuple[bytes, ...]:
    """The keys in a webhook secret, the newest first.

    Raises:
        ValueError: a part is no secret of Standard Webhooks. The message does not hold it.
    """
    keys = tuple(map(_key, secret.get_secret_value().split()))
    if not keys:
        raise ValueError("is empty")
    return keys


def _key(text: str) -> bytes:
    what = f"a secret is `{SECRET_PREFIX}` and {_LEAST} to {_MOST} bytes in base64"
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(what) from None
    if not text.startswith(SECRET_PREFIX) or not _LEAST <= len(key) <= _MOST:
        raise ValueError(what)
    return key
