"""Settings of the model events: the topic and the webhook that they go to."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from consumer.configuration.kafka import Topic
from consumer.configuration.section import Section
from consumer.configuration.webhook import AuthoritiesFile, SecretUrl, SigningSecret, check_signed, nothing


class ModelEventSettings(Section):
    """Where it is told what happens to versions: on a topic, and by a signed webhook. Both are off where not set."""

    topic: Annotated[Topic | None, BeforeValidator(nothing)] = Field(
        default=None, examples=["retrainer.model-versions"]
    )
    """The topic, on the brokers of the change events, to which model events go; none for no topic."""
    webhook: SecretUrl = None
    """URL to which each model event is sent by POST, https, or http on this machine; none for no webhook. The URL may
    hold a secret itself, so it is never shown whole."""
    webhook_secret: SigningSecret = None
    """The secret that the webhook is signed with, `whsec_` and 24 to 64 bytes in base64 (Standard Webhooks). To
    change it, name the new one and the old one with a space between: the webhook then carries both signatures."""
    webhook_cafile: AuthoritiesFile = None
    """The authorities that the webhook's certificate is checked by, PEM; those of this machine if None."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_signed("MODEL_EVENTS", self.webhook, self.webhook_secret)
        return self
