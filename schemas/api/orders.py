"""Orders as they are sent to `/api/v1/orders/…`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from schemas.base import Frozen
from schemas.guard import GuardName

_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_SAYS_SOMETHING = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"

Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=_SAYS_SOMETHING)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_SAYS_SOMETHING)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Order(Frozen):
    """What every order says."""

    model_config = ConfigDict(strict=True)

    reason: Reason
    """Why, in a line; stays on record."""
    by: Name | None = None
    """Who orders it; the address that the order came from where nothing is said."""


class Retrain(Order):
    """A cycle now, without waiting for the trigger."""

    full: bool = False
    """From scratch, on all users; else what is pending, on top of the champion."""
    accept: Annotated[tuple[GuardName, ...], Field(max_length=len(GuardName), strict=False)] = ()
    """Limits of the guard that are waived for the cycle."""


class Pause(Order):
    """No cycle starts from now on."""


class Resume(Order):
    """Cycles start again."""

    reason: Annotated[str, Field(max_length=1000, pattern=_LINE)] = ""
    """Why, in a line; stays on record."""


class Promote(Order):
    """A version becomes champion."""

    version: Version
    """A registered version."""
    instead_of: Version | None = None
    """The champion that the person has seen: with another one nothing is changed. The present one where nothing is
    said."""


class Rollback(Order):
    """Back to an earlier champion."""

    version: Version | None = None
    """The version; the champion before the present one where none is named."""
    instead_of: Version | None = None
    """As with `Promote`."""


class Pin(Order):
    """The champion stays, whatever cycles register."""

    version: Version | None = None
    """The champion that the person has seen."""


class Unpin(Resume):
    """Challengers become champion again."""
