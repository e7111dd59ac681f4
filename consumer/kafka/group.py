"""The members of a consumer group, looked at without joining it; and how to tell our members from others.

The broker lets a client into a group only if it shares a way to assign partitions with all members. The names of our
ways hold the id of the ledger: so a service on another ledger, which would take half of the partitions away, stays
outside, and so does any other consumer. A consumer of the newer protocol (KIP-848), whose partitions the broker
assigns, gets in all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kafka.errors import GroupIdNotFoundError, IncompatibleBrokerVersion, UnsupportedVersionError, for_code

from consumer.kafka.ports import Admin

WAY_OUT = "stop what does not belong there, or give each ledger a group of its own by RETRAINER_KAFKA__GROUP_ID"

_SHOWN, _LONGEST = 3, 120
_NO_GROUP = GroupIdNotFoundError.errno
# The errors when a broker does not know the question, or is no Kafka.
_NOT_UNDERSTOOD = (ValueError, struct.error, UnsupportedVersionError, IncompatibleBrokerVersion)


@dataclass(frozen=True, slots=True)
class Membership:
    """An instance as a member of its group."""

    ledger_id: str
    instance: str

    @property
    def client_id(self) -> str:
        """Its name among the members."""
        return f"{_of_ledger(self.ledger_id)}{self.instance}"

    def assignors(self, kinds: Collection[Any]) -> tuple[type, ...]:
        """These ways to assign partitions, under names that only members on our ledger share."""
        return tuple(type(kind.__name__, (kind,), {"name": f"{kind.name}-{self.ledger_id[:8]}"}) for kind in kinds)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group, as the broker describes it."""

    id: str
    client_id: str
    host: str
    topics: frozenset[str] | None
    """The topics that it reads; None where the broker does not say."""


def members_of(admin: Admin, group: str) -> list[Member] | None:
    """The members of a group; None where the broker does not tell now.

    Raises:
        KafkaError: the broker cannot be asked, or does not permit the question.
    """
    try:
        described = admin.describe_groups([group])[group]
    except _NOT_UNDERSTOOD:
        return None
    if described["group_state"] == "Stable":
        return [_member(one, _subscribed(one)) for one in described["members"]]
    if described["group_state"] == "Dead":  # there is no such group, or it is of the newer protocol
        return _members_of_newer(admin, group)
    return [] if described["group_state"] == "Empty" else None


def strangers(members: Collection[Member], topics: Collection[str], ours: Collection[str]) -> list[Member]:
    """The members that read one of the topics, or may do so, and whose client id is none of `ours`."""
    reading = [one for one in members if one.topics is None or not one.topics.isdisjoint(topics)]
    return [one for one in reading if one.client_id not in ours]


def is_of_ledger(member: Member, ledger_id: str) -> bool:
    """Whether a member says that it works on this ledger; a member on a copy of the ledger says so too."""
    return member.client_id.startswith(_of_ledger(ledger_id))


def in_words(found: Collection[Member], group: str) -> str:
    """A sentence about strangers in a group; `WAY_OUT` is what to do."""
    names = [_printable(f"{one.client_id} at {one.host.lstrip('/')}") for one in sorted(found, key=lambda one: one.id)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    who = f"{', '.join(names[:_SHOWN])}{more} {'is no instance' if len(names) == 1 else 'are no instances'}"
    return (
        f"in the consumer group {group}, {who} of this ledger, or cannot reach it; what is read there never comes here"
    )


def _printable(text: str) -> str:
    """Fit to be printed: any client may choose its name."""
    return "".join(character if character.isprintable() else "?" for character in text)[:_LONGEST]


def _of_ledger(ledger_id: str) -> str:
    return f"retrainer-{ledger_id[:8]}-"


def _member(answer: dict[str, Any], topics: frozenset[str] | None) -> Member:
    return Member(answer["member_id"], answer["client_id"], answer["client_host"], topics)


def _subscribed(answer: dict[str, Any]) -> frozenset[str] | None:
    metadata = answer["member_metadata"]
    return frozenset(metadata["topics"]) if isinstance(metadata, dict) else None


def _members_of_newer(admin: Admin, group: str) -> list[Member] | None:
    try:
        described = admin.describe_newer_group(group)
    except _NOT_UNDERSTOOD:
        return []
    if described["error_code"]:
        if described["error_code"] == _NO_GROUP:
            return []
        raise for_code(described["error_code"])(described["error_message"] or group)
    return [_member(one, _read_by(one)) for one in described["members"]]


def _read_by(answer: dict[str, Any]) -> frozenset[str] | None:
    """The topics that a member names, and those that it was assigned: of a pattern no more is known."""
    assigned = {one["topic_name"] for one in answer["assignment"]["topic_partitions"]}
    return frozenset(answer["subscribed_topic_names"]) | assigned
