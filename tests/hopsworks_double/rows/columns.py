"""What the columns of a group hold, be it of users or of labels; and its keys, as one text each."""

from __future__ import annotations

from typing import Literal

from schemas.events import Group, key_columns
from schemas.features import FeatureGroup
from schemas.labels import LabelGroup, pair_of, pair_text

Kind = Literal["array", "string", "double", "bigint", "timestamp"]


class CreatedGroup(FeatureGroup):
    """A group that a client has created, with columns of its own choice beside one primary key."""

    kinds: dict[str, Kind]


def kinds_of(group: Group) -> dict[str, Kind]:
    """Of the contract's columns beside the primary key, in order."""
    if isinstance(group, CreatedGroup):
        return group.kinds
    if not isinstance(group, LabelGroup):
        return {column.name: "array" for column in group.columns}
    weight: dict[str, Kind] = {} if group.weight is None else {group.weight: "double"}
    return {group.label: "string", **weight, group.labelled_at: "timestamp"}


def ends_of(group: Group, key: str) -> dict[str, str]:
    """The primary key's values of a key: a user's id, or what `pair_text` makes of a pair."""
    ends = pair_of(key) if isinstance(group, LabelGroup) else (key,)
    return dict(zip(key_columns(group), ends, strict=True))


def key_of(group: Group, ends: dict[str, str]) -> str:
    """The key of the primary key's values."""
    values = [ends[name] for name in key_columns(group)]
    return pair_text((values[0], values[1])) if isinstance(group, LabelGroup) else values[0]
