"""A feature group that the cluster holds, of users or of labels: its columns, its rows, its topic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from schemas.events import Group, key_columns
from tests.hopsworks_double.rows.avro import RowCodec
from tests.hopsworks_double.rows.columns import Kind, ends_of, kinds_of
from tests.hopsworks_double.rows.conditions import Condition
from tests.hopsworks_double.rows.tables import FeatureTables, Stored, Values


@dataclass(kw_only=True)
class HeldGroup:
    """One feature group."""

    group: Group
    id: int
    feature_store: str
    online: bool
    element: Literal["double", "float"]
    event_time: str | None
    partition: str | None
    time_travel: Literal["DELTA", "HUDI", "NONE"]
    notification_topic: str | None
    description: str = ""
    embedding_index: dict[str, Any] | None = None
    """As the control plane describes it, where the group has one."""

    def __post_init__(self) -> None:
        self.store = FeatureTables(self.group, self.element, self.event_time, self.partition)
        self.codec = RowCodec(self.group, self.element, f"{self.feature_store}.db")
        self.keys = key_columns(self.group)
        apart: dict[str, Kind] = {self.partition: "string"} if self.partition is not None else {}
        if self.event_time is not None:
            apart = {self.event_time: "timestamp", **apart}
        self.kinds: dict[str, Kind] = {**dict.fromkeys(self.keys, "string"), **kinds_of(self.group), **apart}
        """What each column of the group's tables holds, also those that only tell rows of one key apart."""

    @property
    def table(self) -> str:
        """The name of the group's table in either database."""
        return f"{self.group.name}_{self.group.version}"

    @property
    def columns(self) -> list[str]:
        """The primary key and the contract's columns."""
        return [*self.keys, *kinds_of(self.group)]

    def is_of(self, name: str, version: object) -> bool:
        """Whether it has this name, and this version or one that is not said."""
        return name == self.group.name and str(version or self.group.version) == str(self.group.version)

    def ends(self, key: str) -> dict[str, str]:
        """The primary key's values of a key."""
        return ends_of(self.group, key)

    def online_rows(self, condition: Condition | None) -> list[tuple[str, Stored]]:
        """Online rows of one moment that a condition on the primary key holds for."""
        if condition is None or len(self.keys) == 1:
            return self.store.online_rows(None if condition is None else condition.keys)
        return [(key, row) for key, row in self.store.online_rows() if condition.holds(self.ends(key))]

    def offline_rows(self, condition: Condition | None) -> list[tuple[str, Stored]]:
        """Offline rows of one moment that a condition on the primary key holds for."""
        if condition is None or len(self.keys) == 1:
            return self.store.offline_rows(None if condition is None else condition.keys)
        return [(key, row) for key, row in self.store.offline_rows() if condition.holds(self.ends(key))]

    def shown(self, name: str, values: Values | None) -> Any:
        """A cell as JSON has it."""
        if values is None:
            return None
        match self.kinds[name]:
            case "array":
                return values.tolist()
            case "timestamp":
                return moment(values[0].item())
        return values[0].item()


def moment(milliseconds: int) -> str:
    """A timestamp as the online store has it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
