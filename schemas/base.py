"""The one base of our own border objects: frozen, and strict about names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.units import Unit

_LONGEST = 1e9
"""Thirty years in seconds: what is longer is a slip, and the timers of an operating system overflow near there."""

Seconds = Annotated[float, Field(ge=0, le=_LONGEST), Unit("seconds")]
SomeSeconds = Annotated[float, Field(gt=0, le=_LONGEST), Unit("seconds")]
"""Seconds, and not none of them."""


class Frozen(BaseModel):
    """A value that crosses a border we own: immutable, and a field it does not know is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Policy(Frozen):
    """Rules that people set: a figure that is infinite, or no number, is refused."""

    model_config = ConfigDict(allow_inf_nan=False)
