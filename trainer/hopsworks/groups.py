"""The feature group in the cluster: finding it, and what of it is not as the contract says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from trainer.errors import ContractError, NotThere
from trainer.hopsworks.session import Session

_INTEGERS = {"int", "bigint", "smallint", "tinyint"}
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")  # as the cluster writes them: 07 is no other name of user 7
_NUMBERS = {*_INTEGERS, "float", "double"}
_TIMES = {"timestamp", "date"}
_TABLES = {"DELTA", "HUDI", "ICEBERG"}
_ARRAYS = {f"array<{number}>" for number in _NUMBERS}


def find_group(session: Session, group: FeatureGroup) -> Any:
    """The SDK's feature group that the contract names.

    Raises:
        NotThere: there is none; the message names the versions that there are.
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
        "RETRAINER_FEATURE_GROUP__NAME and __VERSION name it"
    )


def differences(found: Any, group: FeatureGroup) -> list[str]:
    """What of the SDK's feature group is not as the contract says; empty where all of it is."""
    types: dict[str, str] = {feature.name: str(feature.type).lower() for feature in found.columns}
    said: list[str] = []
    keys: Sequence[str] = list(found.primary_key)
    if list(keys) != [group.primary_key]:
        said.append(f"its primary key is {', '.join(keys) or 'missing'}, not {group.primary_key}")
    elif (kind := types.get(group.primary_key)) not in {"string", *_INTEGERS}:
        said.append(f"its primary key {group.primary_key} is {kind}, neither a string nor an integer")
    for column in group.columns:
        kind = types.get(column.name)
        if kind is None:
            said.append(f"column {column.name} is missing")
        elif kind not in _ARRAYS and not (column.is_scalar and kind in _NUMBERS):
            wanted = "a number or an array of numbers" if column.is_scalar else "an array of numbers"
            said.append(f"column {column.name} is {kind}, not {wanted}")
    time = getattr(found, "event_time", None)  # not every kind of group has one
    if time and (kind := types.get(time)) not in {*_TIMES, *_INTEGERS}:
        said.append(f"its event time {time} is {kind or 'no column of it'}, not a timestamp, date or integer")
    if any(part.endswith("is missing") for part in said):
        said.append(f"it has {', '.join(sorted(types))}")
    return said


def check_group(found: Any, group: FeatureGroup, store: HopsworksStore) -> None:
    """Refuse a group that differs from the contract, or cannot be read as `store` wants it.

    Raises:
        ContractError: it does; the message says all that differs.
    """
    said = differences(found, group)
    reads_offline = not found.online_enabled or store.snapshot == "offline"
    if reads_offline and (why := unreadable_offline(found)):
        online = "; RETRAINER_FEATURE_STORE__SNAPSHOT=online reads without it" if found.online_enabled else ""
        said.append(f"{why}{online}")
    if said:
        raise ContractError(
            f"feature group {group.name}, version {group.version}, is not what is configured: " + "; ".join(said)
        )


def unreadable_offline(found: Any) -> str | None:
    """Why the query service cannot read the group's offline table; None where it can."""
    kind = str(found.time_travel_format or "NONE").upper()
    if kind in _TABLES:
        return None
    return f"its offline table keeps no commits (time_travel_format {kind}), and the query service does not read such"


def native_keys(found: Any, group: FeatureGroup, keys: Iterable[str]) -> list[str] | list[int]:
    """User ids as the group's primary key has them; without those that it cannot hold."""
    kind = next((str(one.type).lower() for one in found.columns if one.name == group.primary_key), "string")
    if kind not in _INTEGERS:
        return list(keys)
    return [int(key) for key in keys if _INTEGER.fullmatch(key)]


def columns_of(group: FeatureGroup) -> list[str]:
    """What is read of a group: the primary key and the contract's columns."""
    return [group.primary_key, *(column.name for column in group.columns)]


def _versions(session: Session, name: str) -> list[int]:
    found = session.project.get_feature_store().get_feature_groups(name)
    return sorted(one.version for one in found or [])
