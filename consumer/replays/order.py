"""The order for a replay, and whether it begins or goes on where the same replay was cut short."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

from consumer.errors import ConsumerError
from consumer.replays.spool import Head, Spool
from consumer.replays.window import Window, moment_of
from consumer.settings import Settings

_FRESH = 3600.0
"""Seconds for which a replay may be taken up whose window depends on the present."""


class NoUsers(ConsumerError):  # noqa: N818
    """A file of users cannot be read, or names nobody."""


@dataclass(frozen=True, slots=True)
class Order:
    """A replay as it was asked for."""

    window: Window
    typed: Mapping[str, Any]
    """The options that tell this replay from others, as they were typed."""
    relative: bool
    """Whether the window depends on when the command is given."""
    restart: bool = False
    """Whether to forget what the same replay has read that was cut short."""

    def folder(self, settings: Settings) -> Path:
        """The folder for what the replay has read: the same for the same command."""
        groups = settings.feature_group.model_dump_json(), settings.labels and settings.labels.model_dump_json()
        users = None if self.window.users is None else sorted(self.window.users)
        what = json.dumps([dict(self.typed), users, settings.kafka.topics, settings.kafka.source, groups])
        return settings.state_dir / "replays" / blake2b(what.encode(), digest_size=8).hexdigest()


def is_over(spool: Spool, order: Order, now: float) -> bool:
    """Whether the replay in the spool is too old to be taken up, as its window depends on the present."""
    return order.relative and now - spool.at > _FRESH


def resumed(spool: Spool, order: Order, ids: Mapping[str, str | None], now: float, say: Callable[[str], None]) -> bool:
    """Whether the replay in the spool goes on.

    Args:
        spool: what an earlier process left.
        order: the order of now.
        ids: of the topics, as they are now.
        now: seconds since the epoch.
        say: gets the answer in words, with the reason.
    """
    head = spool.head
    if head is None:
        if spool.begun_before:
            say("what a replay of another release has left cannot be used; beginning again")
        return False
    when = moment_of(int(1000 * head.begun_at))
    if order.restart:
        say(f"forgetting the replay that was cut short, of {when}")
        return False
    if any(head.topic_ids.get(topic) != number for topic, number in ids.items()):
        say(f"the topic was recreated since the replay of {when} was cut short; beginning again")
        return False
    if is_over(spool, order, now):
        say(
            f"the replay of {when} was cut short too long ago for a window that depends on the present; beginning again"
        )
        return False
    read = sum(one.read for one in head.stretches)
    say(f"going on with the replay that was cut short, of {when}: {read} records were read; --restart begins again")
    return True


def window_of(order: Order, head: Head) -> Window:
    """The window, with the times of the replay's begin."""
    return replace(order.window, start=head.start, end=head.end)


def new_head(order: Order, ids: Mapping[str, str | None], now: float) -> Head:
    """The head of a replay that begins now."""
    window = order.window
    return Head(str(uuid4()), now, window.start, window.end, dict(ids), [])


def users_in(path: Path) -> frozenset[str]:
    """The users of a file, one a line.

    Raises:
        NoUsers: the file cannot be read, is not UTF-8, or names nobody.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise NoUsers(f"--users {path}: cannot be read: {reason}") from None
    found = frozenset(filter(None, map(str.strip, text.split("\n"))))
    if not found:
        raise NoUsers(f"--users {path}: names nobody; it wants one user id a line")
    return found
