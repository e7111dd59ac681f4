"""The one base of our own border objects: frozen, and strict about names."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.times.durations import seconds_of
from schemas.units import SECONDS

LONGEST = 1e9
"""Thirty years in seconds: what is longer is a slip, and the timers of an operating system overflow near there."""
DURATION = BeforeValidator(seconds_of)
"""Reads `1h30m` as seconds. It stands behind the limits of a number, which then are in the JSON Schema, too."""

Seconds = Annotated[float, Field(ge=0, le=LONGEST), DURATION, SECONDS]
"""Seconds, which people may write as `1h30m`."""
SomeSeconds = Annotated[float, Field(gt=0, le=LONGEST), DURATION, SECONDS]
"""Seconds, and not none of them."""


def listed(value: object) -> object:
    """`A,B` as a list of texts, with quotes around each or without; anything else as it is."""
    if not isinstance(value, str):
        return value
    return [part for one in re.split(r"[,\s]+", value) if (part := one.strip("\"'"))]


class Frozen(BaseModel):
    """A value that crosses a border we own: immutable, and a field it does not know is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Policy(Frozen):
    """Rules that people set: a figure that is infinite, or no number, is refused."""

    model_config = ConfigDict(allow_inf_nan=False)
