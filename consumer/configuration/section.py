"""What all groups of settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from schemas.base import Seconds, SomeSeconds, listed

__all__ = ["Names", "Seconds", "Section", "SomeSeconds", "listed"]


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
"""Names, which commas separate in the environment."""


class Section(BaseModel):
    """A group of settings; one that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
