"""Settings of the page and the API that the service serves by HTTP."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from consumer.configuration.section import Names, Section

_LEAST = 16  # characters of a token: nobody guesses that many
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)  # what a bearer token may consist of, by RFC 6750
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)


class HttpSettings(Section):
    """Page, API, health and metrics by HTTP, for this machine alone unless `host` says otherwise."""

    enabled: bool = True
    """Whether the service serves page, API and metrics."""
    host: Annotated[str, Field(min_length=1, max_length=253)] = Field(default="127.0.0.1", examples=["::1"])
    """The address to listen at; `0.0.0.0` or `::` for every address of the machine."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8642
    """The port to listen at; 0 for any free one, which `retrainer status` names."""
    token: SecretStr | None = None
    """The bearer token of orders (retrain, pause, promote …), 16 characters or more. Without one no order is taken by
    HTTP. `RETRAINER_HTTP__TOKEN_FILE` names a file that has it."""
    allowed_hosts: Names = Field(default=(), examples=[("retrainer.example.com", "retrainer")])
    """Names by which browsers and programs may reach the service, beside addresses, `localhost` and `host`."""

    @field_validator("token")
    @classmethod
    def _is_hard_to_guess(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None:
            text = token.get_secret_value()
            if len(text) < _LEAST:
                raise ValueError(f"needs {_LEAST} characters or more, as of `openssl rand -hex 32`")
            if not _TOKEN.fullmatch(text):
                raise ValueError("may have letters, digits and -._~+/ alone, and = at its end")
        return token

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        lower = tuple(name.lower().rstrip(".") for name in names)
        if wrong := [name for name in lower if not _HOST.fullmatch(name)]:
            raise ValueError(f"{wrong[0]!r} is no name of a host; give names without scheme and port")
        return lower
