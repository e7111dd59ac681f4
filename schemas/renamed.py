"""Names that changed: fields that earlier releases wrote under other names."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field


def formerly(name: str, *names: str) -> Any:
    """A field `name` that earlier releases wrote under other `names`: all are read, and `name` is written."""
    return Field(validation_alias=AliasChoices(name, *names))
