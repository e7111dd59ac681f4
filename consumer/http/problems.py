"""What an answer says that is no success: what is wrong, and the way out. Nothing of our inside gets out by it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from starlette.responses import Response

REALM = 'Bearer realm="retrainer"'


class Problem(Exception):  # noqa: N818  (an answer)
    """A request that is answered by a status of 400 or more.

    Args:
        status: of HTTP.
        what: what is wrong.
        way_out: what to do.
        headers: of the answer.
    """

    def __init__(self, status: int, what: str, way_out: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.way_out = way_out
        self.headers = headers


def refusal(problem: Problem) -> Response:
    """The answer."""
    body = {"error": {"what": problem.what, "way_out": problem.way_out}}
    return as_json(body, problem.status, problem.headers)


def as_json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON. A figure that is no number, which JSON does not have, is null."""
    return Response(encoded(body), status, headers, media_type="application/json")


def encoded(body: object) -> str:
    """The text of `as_json`."""
    try:
        return json.dumps(body, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(body))


def listed(name: str, things: Iterator[object], limit: int, *, turned: bool = False) -> str:
    """The text of an answer with at most `limit` things under `name`, and `more`: whether there are more.

    Each is encoded before the next is asked for: a list of cycles in memory is ten times as large as its text. The last
    comes first where the answer is to be `turned`.
    """
    texts = [encoded(each) for each in islice(things, limit)]
    if turned:
        texts.reverse()
    more = next(things, None) is not None
    return f'{{"{name}": [{", ".join(texts)}], "more": {encoded(more)}}}'


def as_answer(text: str) -> Response:
    """An answer whose JSON is ready."""
    return Response(text, media_type="application/json")


def as_text(line: str, status: int = 200) -> Response:
    """An answer for people and probes."""
    return Response(f"{line}\n", status, media_type="text/plain")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
