"""Filters on the primary key, as the SDK sends them and as SQL says them: EQUALS, IN, AND, OR."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


class UnsupportedError(Exception):
    """The double cannot answer such a query."""


@dataclass(frozen=True)
class OneOf:
    """The key is one of these."""

    keys: frozenset[str]

    def sql(self, column: str) -> str:
        """As MySQL says it."""
        if len(self.keys) == 1:
            return f"{column} = {_quoted(next(iter(self.keys)))}"
        return f"{column} IN ({', '.join(map(_quoted, sorted(self.keys)))})"


@dataclass(frozen=True)
class Both:
    """Both conditions hold."""

    left: Condition
    right: Condition

    @property
    def keys(self) -> frozenset[str]:
        """Of rows that it holds for."""
        return self.left.keys & self.right.keys

    def sql(self, column: str) -> str:
        """As MySQL says it."""
        return f"({self.left.sql(column)} AND {self.right.sql(column)})"


@dataclass(frozen=True)
class Either:
    """At least one of the conditions holds."""

    left: Condition
    right: Condition

    @property
    def keys(self) -> frozenset[str]:
        """Of rows that it holds for."""
        return self.left.keys | self.right.keys

    def sql(self, column: str) -> str:
        """As MySQL says it."""
        return f"({self.left.sql(column)} OR {self.right.sql(column)})"


Condition = OneOf | Both | Either


def from_sdk(asked: dict[str, Any], primary_key: str) -> Condition:
    """The condition in the JSON of the SDK's `Filter` or `Logic`."""
    if "condition" in asked:
        return _from_filter(asked, primary_key)
    sides = ("leftFilter", "leftLogic", "rightFilter", "rightLogic")
    parts = [from_sdk(asked[side], primary_key) for side in sides if asked.get(side)]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2 and asked["type"] in ("AND", "OR"):
        return Both(*parts) if asked["type"] == "AND" else Either(*parts)
    raise UnsupportedError(f"filter {asked}")


def _from_filter(asked: dict[str, Any], primary_key: str) -> Condition:
    column, condition, value = asked["feature"]["name"], asked["condition"], asked["value"]
    if column == primary_key and condition == "EQUALS":
        return OneOf(frozenset([str(value)]))
    if column == primary_key and condition == "IN":
        return OneOf(frozenset(map(str, json.loads(value))))
    raise UnsupportedError(f"filter {condition} on {column}")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
