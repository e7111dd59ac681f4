"""What a request asks for, in its address: numbers, times, names, ids; each checked before anybody is asked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from starlette.requests import Request

from consumer.http.problems import Problem

CYCLE_ID = r"^c[0-9]{1,12}(-[0-9a-f]{1,64})?$"
"""How an id of a cycle looks."""

_ID = re.compile(CYCLE_ID, re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
LARGEST_VERSION = 2**31 - 1

Word = TypeVar("Word", bound=StrEnum)


def is_cycle_id(text: str) -> bool:
    """Whether a text looks like the id of a cycle: nothing in it leads out of a folder."""
    return _ID.fullmatch(text) is not None


def known(request: Request, *names: str) -> None:
    """Do nothing where the query has parameters of these names alone, each once.

    Raises:
        Problem: 400.
    """
    for name in request.query_params:
        if name not in names:
            allowed = ", ".join(names) or "none"
            raise Problem(400, f"{name!r} is no parameter here", f"those that there are: {allowed}")


def number(request: Request, name: str, default: int, most: int) -> int:
    """A number from 1 to `most` of the query.

    Raises:
        Problem: 400, where it is something else.
    """
    given = _one(request, name)
    if given is None:
        return default
    if not _NUMBER.fullmatch(given) or not 1 <= int(given) <= most:
        raise Problem(400, f"{name} is {given!r}", f"give a number from 1 to {most}")
    return int(given)


def moment(request: Request, name: str, default: float) -> float:
    """A time of the query, in seconds since the epoch.

    Raises:
        Problem: 400, where it is none.
    """
    given = _one(request, name)
    if given is None:
        return default
    try:
        found = datetime.fromisoformat(given.replace(" ", "+"))  # a + of a query is read as a blank
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        way_out = "give a time of ISO 8601, as in 2026-11-24T08:00:00Z"
        raise Problem(400, f"{name} is {given!r}", way_out) from None


def words(request: Request, name: str, among: type[Word]) -> tuple[Word, ...]:
    """Words of the query, of which there may be several.

    Raises:
        Problem: 400, where one is not `among` those that there are.
    """
    try:
        return tuple(dict.fromkeys(among(given) for given in request.query_params.getlist(name)))
    except ValueError:
        given = ", ".join(request.query_params.getlist(name))
        raise Problem(400, f"{name} is {given!r}", f"give one of {', '.join(among)}") from None


def cycle_number(request: Request, name: str) -> int | None:
    """The number in the id of a cycle that the query names.

    Raises:
        Problem: 400, where it is no id.
    """
    given = _one(request, name)
    if given is None:
        return None
    if not _ID.fullmatch(given):
        raise Problem(400, f"{name} is {given!r}", "give the id of a cycle, as in c000012-5b490f05")
    return min(int(given[1:].partition("-")[0]), LARGEST_VERSION)


def cycle_id(request: Request) -> str:
    """The id of a cycle in the path.

    Raises:
        Problem: 404, where it is none.
    """
    given = str(request.path_params["cycle_id"])
    if not _ID.fullmatch(given):
        raise Problem(404, f"{given!r} is no id of a cycle", "GET /api/v1/cycles lists them")
    return given


def version(request: Request) -> int:
    """The number of a version in the path.

    Raises:
        Problem: 404, where it is none.
    """
    given = str(request.path_params["version"])
    if not _NUMBER.fullmatch(given) or not 1 <= int(given) <= LARGEST_VERSION:
        raise Problem(404, f"{given!r} is no number of a version", "GET /api/v1/versions lists them")
    return int(given)


def _one(request: Request, name: str) -> str | None:
    given = request.query_params.getlist(name)
    if len(given) > 1:
        raise Problem(400, f"{name} is given {len(given)} times", "give it once")
    return given[0] if given else None
