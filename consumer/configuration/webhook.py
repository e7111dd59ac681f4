"""Types of the settings of a webhook: its address, the secret that it is signed with, the authorities it trusts."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from consumer.configuration.kafka import SAFE_URL, keeps_a_secret

SECRET_PREFIX = "whsec_"  # noqa: S105  (the prefix that Standard Webhooks gives to secrets)
_LEAST, _MOST = 24, 64  # bytes of a secret, by Standard Webhooks


def nothing(value: object) -> object:
    """None for an empty text, by which a variable unsets what a file sets."""
    return None if value == "" else value


def _safe(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        text = url.get_secret_value()
        if "@" in urlsplit(text).netloc:
            raise ValueError("credentials do not belong into the URL: the signature shows who sends")
        if not keeps_a_secret(text):
            raise ValueError(f"must be {SAFE_URL}")
    return url


def _has_keys(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None:
        keys_of(secret)
    return secret


def _can_be_read(path: Path | None) -> Path | None:
    if path is not None:
        try:
            path.open("rb").close()
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None
    return path


SecretUrl = Annotated[SecretStr | None, BeforeValidator(nothing), AfterValidator(_safe)]
"""An address that may be a secret itself: https, or http on this machine."""
SigningSecret = Annotated[SecretStr | None, AfterValidator(_has_keys)]
"""A secret of Standard Webhooks, or several with a space between."""
AuthoritiesFile = Annotated[Path | None, AfterValidator(_can_be_read)]
"""A file that can be read."""


def check_signed(section: str, webhook: SecretStr | None, secret: SecretStr | None) -> None:
    """Refuse a webhook without a secret.

    Raises:
        ValueError: names the settings of `section`.
    """
    if webhook is not None and secret is None:
        name = f"RETRAINER_{section}__WEBHOOK"
        raise ValueError(f"{name} needs {name}_SECRET_FILE: a file with `whsec_` and a secret in base64")


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
