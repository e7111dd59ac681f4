"""Addresses as they may be printed. A query may hold any secret, so only the values of known names stay readable."""

from __future__ import annotations

from collections.abc import Collection

HIDDEN = "***"


def masked(url: str, harmless: Collection[str] = ()) -> str:
    """An address without its password, and without the values of its query that are not `harmless` by name."""
    before, mark = url, ""
    if url.lower().startswith("http"):  # elsewhere a # is a part of a file's name
        before, mark, _fragment = url.partition("#")
    start, asked, query = before.partition("?")
    return _without_password(start) + asked + _query(query, harmless) + (mark and f"{mark}{HIDDEN}")


def _without_password(start: str) -> str:
    scheme, slashes, rest = start.partition("://")
    if not slashes:
        return start
    # The last @ before the path: a password that was not escaped may hold one, and a slash.
    credentials, at, place = rest.rpartition("@")
    user, colon, _password = credentials.partition(":")
    return f"{scheme}://{user}{colon and f':{HIDDEN}'}{at}{place}"


def _query(query: str, harmless: Collection[str]) -> str:
    """A query with hidden values; a part without a `=` has no name, and is hidden."""
    masked_parts = []
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        shown = value if name.lower() in harmless else HIDDEN
        masked_parts.append(f"{name}={shown}" if equals else HIDDEN)
    return "&".join(masked_parts)
