"""The commits of a feature group, as the control plane lists them."""

from __future__ import annotations

from typing import Any

from schemas.events import Group
from stores.errors import Refused
from stores.hopsworks.groups import find_group
from stores.hopsworks.session import Session

_SEEN = 20
"""How many are looked at. The id of a commit is its writer's clock, so a late commit need not be the newest."""


class GroupCommits:
    """The commits of one group. A writer registers its commit after it wrote the rows."""

    def __init__(self, session: Session, group: Group) -> None:
        self._session = session
        self._name = f"{group.name}, version {group.version}"
        self._found = find_group(session, group)

    @property
    def online_enabled(self) -> bool:
        """Whether the group has an online store, and so announces its changes itself."""
        return bool(self._found.online_enabled)

    def recent(self) -> tuple[int, ...]:
        """The ids of the last few commits, the newest first; empty before the first.

        Raises:
            Refused: the group keeps no commits.
            ClusterError: the cluster does not say, or the group is gone.
        """
        if (self._found.time_travel_format or "NONE").upper() == "NONE":
            raise Refused(
                f"feature group {self._name} keeps no commits (time_travel_format NONE), so nothing tells of changes"
            )
        details = self._session.ask(f"list the commits of {self._name}", self._details)
        return tuple(sorted((int(commit) for commit in details), reverse=True))

    def _details(self) -> dict[Any, Any]:
        try:
            details: dict[Any, Any] = self._found.commit_details(limit=_SEEN)
        except KeyError as error:
            if error.args == ("items",):  # the SDK expects a list that an answer without commits may lack
                return {}
            raise
        return details
