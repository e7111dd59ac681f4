"""What all groups of settings have in common."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from schemas.base import Seconds, SomeSeconds

__all__ = ["Names", "Seconds", "Section", "SomeSeconds", "listed"]


def listed(value: object) -> object:
    """`A,B` as a list of texts, with quotes around each or without; anything else as it is."""
    if not isinstance(value, str):
        return value
    return [part for one in re.split(r"[,\s]+", value) if (part := one.strip("\"'"))]


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
"""Names, which commas separate in the environment."""


class Section(BaseModel):
    """A group of settings; one that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
