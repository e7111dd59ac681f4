"""What all groups of settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A group of settings; one that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
