"""What all groups of settings have in common."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from schemas.base import Seconds, SomeSeconds

__all__ = ["Names", "Seconds", "Section", "SomeSeconds", "listed"]


def listed(value: object) -> object:
    """`a,b` means a list, with quotes around each or without; blanks part as commas do."""
    return (
        [part for one in re.split(r"[,\s]+", value) if (part := one.strip("\"'"))] if isinstance(value, str) else value
    )


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
"""`A,B` means two."""


class Section(BaseModel):
    """A group of settings; one that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
