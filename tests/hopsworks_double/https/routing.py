"""Which handler answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply

Handler = Callable[[ApiCall], Reply]


class Router:
    """Routes in order. In a pattern `{name}` stands for one part of a path and `{name*}` for the rest of it."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, pattern: str, handler: Handler, *, first: bool = False) -> None:
        """The first route that fits serves a request; `first` puts this one before those that are there."""
        expression = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", pattern)
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)
        route = (method, re.compile(expression + "/?"), handler)
        if first:
            self._routes.insert(0, route)
        else:
            self._routes.append(route)

    def __call__(self, call: ApiCall) -> Reply:
        """Answer a request."""
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(call.path)
            if method == call.method and match is not None:
                return handler(replace(call, parts=match.groupdict()))
        raise ApiError(404, None, f"the double has no {call.method} {call.path}")
