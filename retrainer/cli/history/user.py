"""What became of one user, as far as the ledger knows: gathered for `retrainer explain`, and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from consumer.database.dialect import storable
from consumer.ledger.ledger import Ledger
from consumer.ledger.past_changes import ChangeOnRecord, UserOnRecord, user_on_record
from consumer.ledger.past_cycles import CHAMPION, NotOnRecord, find_cycle, later_from_scratch
from consumer.ledger.records import when
from schemas.cycle import Outcome

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UserStory:
    """A user, and the cycles that had to do with it, as `find_cycle` gives them; None where there is none."""

    user: str
    on_record: UserOnRecord
    settled_by: Record | None
    """The cycle that settled the last settled change."""
    claimed_by: Record | None
    later_whole: Record | None
    """The newest training from scratch after that, which has read every user again."""
    champion: Record | None
    last_settled: str | None
    """The newest cycle whose claim is settled."""

    @property
    def learned_version(self) -> int | None:
        """The version that learned the last settled change; None where none did, or it is not known which."""
        version = self.settled_by and self.settled_by["version"]
        return version["version"] if version else None

    @property
    def before_version(self) -> int | None:
        """The version before the one that learned the change."""
        if self.learned_version is None or self.settled_by is None:
            return None
        found: int | None = self.settled_by["base_version"]
        return found

    @property
    def now_version(self) -> int | None:
        """The champion."""
        return self.champion["version"]["version"] if self.champion else None

    def record(self) -> Record:
        """All of it for machines; times in ISO 8601."""
        told = self.on_record
        return {
            "user": self.user,
            "learned_by_version": self.learned_version,
            "before_version": self.before_version,
            "champion": self.now_version,
            "settled": _change(told.settled),
            "settled_by": _in_short(self.settled_by),
            "pending": _change(told.pending),
            "claimed": _change(told.claimed),
            "claimed_by": _in_short(self.claimed_by),
            "refused": told.refused
            and {**asdict(told.refused), "since": when(told.refused.since), "last_at": when(told.refused.last_at)},
            "given_back_by": [{**asdict(one), "ended_at": when(one.ended_at)} for one in told.tries],
            "read_again_by": _in_short(self.later_whole),
        }


def user_story(ledger: Ledger, user: str) -> UserStory:
    """What the ledger knows of a user."""
    user = storable(user)
    told = user_on_record(ledger.engine, user)
    settled_by = _cycle(ledger, told.settled.cycle_id if told.settled else None)
    return UserStory(
        user=user,
        on_record=told,
        settled_by=settled_by,
        claimed_by=_cycle(ledger, told.claimed.cycle_id if told.claimed else None),
        later_whole=later_from_scratch(ledger.engine, settled_by["number"] if settled_by else 0),
        champion=_cycle(ledger, CHAMPION),
        last_settled=ledger.cycles.base().last_promoted_cycle,
    )


def _cycle(ledger: Ledger, name: str | None) -> Record | None:
    try:
        return find_cycle(ledger.engine, name) if name else None
    except NotOnRecord:
        return None


def _change(found: ChangeOnRecord | None) -> Record | None:
    if found is None:
        return None
    times = {name: when(getattr(found, name)) for name in asdict(found) if name.endswith(("_at", "_since"))}
    return {**asdict(found), **times, "cycle_id": found.cycle_id or None}


def _in_short(cycle: Record | None) -> Record | None:
    """A cycle without its long reports."""
    if cycle is None:
        return None
    kept = "cycle_id", "kind", "state", "reason", "base_version", "claimed_at", "ended_at"
    version = cycle["version"]
    return {
        **{name: cycle[name] for name in kept},
        "version": version and version["version"],
        "registered_at": version and version["registered_at"],
    }


def is_unchanged(cycle: Record) -> bool:
    """Whether a cycle found nothing to learn, so that the champion answers for what it claimed."""
    return bool(cycle["state"] == Outcome.UNCHANGED)
