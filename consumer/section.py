"""What all groups of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from schemas.base import Seconds, SomeSeconds

__all__ = ["Seconds", "Section", "SomeSeconds"]


class Section(BaseModel):
    """A group of settings; one that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
