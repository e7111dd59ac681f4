"""Settings of the notifications: whom to tell what, and how often."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from consumer.configuration.section import Names, Seconds, Section, SomeSeconds
from consumer.configuration.webhook import AuthoritiesFile, SecretUrl, SigningSecret, check_signed, nothing
from schemas.watching.notifications import KINDS

_DAY = 86_400.0


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in KINDS]:
        raise ValueError(f"there is no kind {', '.join(unknown)}; there are {', '.join(KINDS)}")
    return names


def _chats(urls: SecretStr | None) -> SecretStr | None:
    for number, url in enumerate(urls_of(urls), 1):
        if not urlsplit(url).scheme or "://" not in url:
            raise ValueError(f"number {number} is no URL of apprise, which begins like mailto:// or slack://")
    if urls_of(urls) and find_spec("apprise") is None:
        raise ValueError("needs the extra `chat`: pip install 'retrainer[chat]'")
    return urls


def _page(url: str | None) -> str | None:
    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise ValueError("must be a URL that people can open, http:// or https://")
    return url


class NotificationSettings(Section):
    """What people are told without asking: by a signed webhook, and by chats and mail. Off where no channel is set."""

    webhook: SecretUrl = None
    """URL to which each message is sent by POST, https, or http on this machine; none for no webhook. The URL may
    hold a secret itself, so it is never shown whole."""
    webhook_secret: SigningSecret = None
    """The secret that the webhook is signed with, as that of the model events."""
    webhook_cafile: AuthoritiesFile = None
    """The authorities that the webhook's certificate is checked by, PEM; those of this machine if None."""
    chat: Annotated[SecretStr | None, BeforeValidator(nothing), AfterValidator(_chats)] = None
    """URLs of apprise, with a space or a line end between: chats, mail and others, each by a URL that holds its secret.
    They need the extra `chat`."""
    events: Annotated[Names, AfterValidator(_known)] = KINDS
    """Which kinds are told."""
    repeat: SomeSeconds = _DAY
    """Seconds after which an alert that lasts is told again; refusals in a row are told at most so often."""
    settle: Seconds = 60.0
    """Seconds that something has to be wrong, or well again, before it is told."""
    per_hour: Annotated[int, Field(ge=1)] = 20
    """Most messages within an hour; what comes beyond that waits, and is gathered."""
    no_version_for: SomeSeconds | None = 7 * _DAY
    """Seconds for which changes may wait without a version that has learned them; None for ever."""
    dead_letters: Annotated[int, Field(ge=1)] = 1
    """So many open dead letters are told."""
    link: Annotated[str | None, AfterValidator(_page)] = Field(
        default=None, examples=["https://retrainer.example.com/"]
    )
    """The page that messages link to, as people reach it; where the service itself serves it if None."""
    heartbeat: SecretUrl = None
    """URL that is asked by GET every minute while the service reads its topic and its ledger works; none for no
    heartbeat. Whoever watches it tells when it stops, which a service that has died cannot."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_signed("NOTIFICATIONS", self.webhook, self.webhook_secret)
        return self

    @property
    def wanted(self) -> bool:
        """Whether anybody is told anything."""
        return self.webhook is not None or bool(urls_of(self.chat))


def urls_of(chat: SecretStr | None) -> tuple[str, ...]:
    """The URLs of the chats."""
    return () if chat is None else tuple(chat.get_secret_value().split())
