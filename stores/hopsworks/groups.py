"""Finds a group of users or of labels in the cluster, and compares it with the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_
from typing import Any

from schemas.events import Group, key_columns, value_columns
from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup, pair_of
from stores.errors import ContractError, NotThere
from stores.hopsworks.session import Session

_INTEGERS = {"int", "bigint", "smallint", "tinyint"}
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")  # as the cluster writes them: 07 does not name user 7
_NUMBERS = {*_INTEGERS, "float", "double"}
_TIMES = {"timestamp", "date"}
_TABLES = {"DELTA", "HUDI", "ICEBERG"}
_ARRAYS = {f"array<{number}>" for number in _NUMBERS}
_LABELS = {"string", "boolean", *_NUMBERS}


def find_group(session: Session, group: Group) -> Any:
    """The SDK's feature group that the contract names.

    Raises:
        NotThere: there is no such group; the message names the versions that exist.
        ClusterError: the cluster does not say.
    """
    name, version, project = group.name, group.version, session.cluster.project

    def look() -> Any:
        return session.project.get_feature_store().get_feature_group(name, version=version)

    found = session.ask(f"look for feature group {name}, version {version}", look)
    if found is not None:
        return found
    others = session.ask(f"look for versions of {name}", lambda: _versions(session, name))
    known = f"it has version {', '.join(map(str, others))}" if others else "there is none of that name"
    raise NotThere(
        f"project {project} has no feature group {name}, version {version}: {known}; "
        f"{_section(group)}__NAME and __VERSION name it"
    )


def differences(found: Any, group: Group) -> list[str]:
    """All differences between the SDK's feature group and the contract; empty where there are none."""
    types: dict[str, str] = {feature.name: str(feature.type).lower() for feature in found.columns}
    said: list[str] = []
    keys, wanted = list(found.primary_key), key_columns(group)
    if sorted(keys) != sorted(wanted):
        said.append(f"its primary key is {', '.join(keys) or 'missing'}, not {', '.join(wanted)}")
    else:
        odd = {key: kind for key in wanted if (kind := types.get(key)) not in {"string", *_INTEGERS}}
        said += [f"its primary key {key} is {kind}, neither a string nor an integer" for key, kind in odd.items()]
    for name, kinds, called in _expected(group):
        if (kind := types.get(name)) is None:
            said.append(f"column {name} is missing")
        elif kind not in kinds:
            said.append(f"column {name} is {kind}, not {called}")
    time = getattr(found, "event_time", None)  # not every kind of group has one
    if time and (kind := types.get(time)) not in {*_TIMES, *_INTEGERS}:
        said.append(f"its event time {time} is {kind or 'no column of it'}, not a timestamp, date or integer")
    if any(part.endswith("is missing") for part in said):
        said.append(f"it has {', '.join(sorted(types))}")
    return said


def check_group(found: Any, group: Group, store: HopsworksStore) -> None:
    """Refuse a group that differs from the contract, or cannot be read as `store` wants it.

    Raises:
        ContractError: the group differs; the message names all differences.
    """
    said = differences(found, group)
    reads_offline = not found.online_enabled or store.snapshot == "offline"
    if reads_offline and (why := unreadable_offline(found)):
        online = "; RETRAINER_FEATURE_STORE__SNAPSHOT=online reads without it" if found.online_enabled else ""
        said.append(f"{why}{online}")
    if said:
        raise ContractError(
            f"feature group {group.name}, version {group.version}, is not what is configured "
            f"({_section(group)}__…): " + "; ".join(said)
        )


def unreadable_offline(found: Any) -> str | None:
    """Why the query service cannot read the group's offline table; None where it can."""
    kind = str(found.time_travel_format or "NONE").upper()
    if kind in _TABLES:
        return None
    return f"its offline table keeps no commits (time_travel_format {kind}), and the query service does not read such"


def native_keys(found: Any, group: Group, keys: Iterable[str]) -> list[dict[str, str | int]]:
    """Keys as values of the group's primary key columns, without keys that these columns cannot hold."""
    types = {one.name: str(one.type).lower() for one in found.columns}
    whole = [types.get(column) in _INTEGERS for column in key_columns(group)]
    return [
        {column: int(end) if of_digits else end for column, end, of_digits in zip(columns, ends, whole, strict=True)}
        for columns, ends in ((key_columns(group), ends_of(group, key)) for key in keys)
        if all(_INTEGER.fullmatch(end) for end, of_digits in zip(ends, whole, strict=True) if of_digits)
    ]


def with_keys(found: Any, natives: Sequence[dict[str, str | int]]) -> Any:
    """The SDK's filter for rows with these keys; for keys of two columns the filter passes other pairs, too."""
    values = {column: list(dict.fromkeys(native[column] for native in natives)) for column in natives[0]}
    return reduce(and_, (found[column].isin(listed) for column, listed in values.items()))


def ends_of(group: Group, key: str) -> tuple[str, ...]:
    """The ids that a key names: that of a user, or those of the two users of a label (see `pair_text`)."""
    return pair_of(key) if isinstance(group, LabelGroup) else (key,)


def columns_of(group: Group) -> list[str]:
    """The columns that are read: the primary key and the contract's columns."""
    return [*key_columns(group), *value_columns(group)]


def _expected(group: Group) -> list[tuple[str, set[str], str]]:
    """The contract's columns, with the types that each may have and a name for these types."""
    if isinstance(group, FeatureGroup):
        scalar = ({*_ARRAYS, *_NUMBERS}, "a number or an array of numbers")
        return [(one.name, *(scalar if one.is_scalar else (_ARRAYS, "an array of numbers"))) for one in group.columns]
    kinds = {
        group.label: (_LABELS, "a string, a number or a boolean"),
        group.weight: (_NUMBERS, "a number"),
        group.labelled_at: ({*_TIMES, *_INTEGERS}, "a timestamp, date or integer"),
    }
    return [(name, *kinds[name]) for name in value_columns(group)]


def _section(group: Group) -> str:
    """The settings that describe the group."""
    return "RETRAINER_LABELS" if isinstance(group, LabelGroup) else "RETRAINER_FEATURE_GROUP"


def _versions(session: Session, name: str) -> list[int]:
    found = session.project.get_feature_store().get_feature_groups(name)
    return sorted(one.version for one in found or [])
