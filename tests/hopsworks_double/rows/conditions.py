"""Filters on the columns of the primary key, as the SDK sends them and as SQL says them: EQUALS, IN, AND, OR."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


class UnsupportedError(Exception):
    """The double cannot answer such a query."""


@dataclass(frozen=True)
class OneOf:
    """A column of the key has one of these."""

    column: str
    keys: frozenset[str]

    def holds(self, ends: Mapping[str, str]) -> bool:
        """Whether a key with these values is meant."""
        return ends[self.column] in self.keys

    def sql(self, alias: str) -> str:
        """As MySQL says it."""
        column = f"{alias}.`{self.column}`"
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
        """Of rows that it holds for, where the key has one column."""
        return self.left.keys & self.right.keys

    def holds(self, ends: Mapping[str, str]) -> bool:
        """Whether a key with these values is meant."""
        return self.left.holds(ends) and self.right.holds(ends)

    def sql(self, alias: str) -> str:
        """As MySQL says it."""
        return f"({self.left.sql(alias)} AND {self.right.sql(alias)})"


@dataclass(frozen=True)
class Either:
    """At least one of the conditions holds."""

    left: Condition
    right: Condition

    @property
    def keys(self) -> frozenset[str]:
        """Of rows that it holds for, where the key has one column."""
        return self.left.keys | self.right.keys

    def holds(self, ends: Mapping[str, str]) -> bool:
        """Whether a key with these values is meant."""
        return self.left.holds(ends) or self.right.holds(ends)

    def sql(self, alias: str) -> str:
        """As MySQL says it."""
        return f"({self.left.sql(alias)} OR {self.right.sql(alias)})"


Condition = OneOf | Both | Either


def from_sdk(asked: dict[str, Any], primary_key: Collection[str]) -> Condition:
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


def _from_filter(asked: dict[str, Any], primary_key: Collection[str]) -> Condition:
    column, condition, value = asked["feature"]["name"], asked["condition"], asked["value"]
    if column in primary_key and condition == "EQUALS":
        return OneOf(column, frozenset([str(value)]))
    if column in primary_key and condition == "IN":
        return OneOf(column, frozenset(map(str, json.loads(value))))
    raise UnsupportedError(f"filter {condition} on {column}")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
