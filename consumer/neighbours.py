"""The other members of our consumer group: a member that reads our topic and is no instance of our ledger is reported.

Such a stranger reads its partitions into another ledger, or into none: ours does not get their events, and shows no lag
for them. Two services with ledgers of their own in one group would each learn half.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from kafka.errors import KafkaError

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import ConsumerError
from consumer.kafka.clients import make_admin
from consumer.kafka.group import WAY_OUT, Member, Membership, in_words, is_of_ledger, members_of, strangers
from consumer.kafka.options import admin_options
from consumer.kafka.ports import Admin
from consumer.trouble import Trouble
from schemas.log_events.listener import GROUP_NOT_SEEN, NOBODY_ELSE_READS, OTHERS_READ_OUR_TOPIC

log = structlog.get_logger()

_LOOK_EVERY = 10.0
_LATE = 15.0  # seconds; an instance that has joined the group may not have reported yet
_END = 1.0


class Suspicion:
    """Which members are strangers: a pure rule with a memory of the last look.

    A member that names another ledger, or none, is a stranger at once. A member that names our ledger, but is not heard
    there, is a stranger at the second look.
    """

    def __init__(self, own: Membership, topics: tuple[str, ...]) -> None:
        self._own = own
        self._topics = topics
        self._silent: set[str] = set()

    def found(self, members: list[Member], heard: set[str] | None) -> list[Member]:
        """The strangers among the members.

        Args:
            members: of our group.
            heard: the ids of the other instances that have reported in our ledger; None where that is not known.
        """
        ours = {
            Membership(self._own.ledger_id, instance).client_id for instance in {self._own.instance, *(heard or ())}
        }
        others = strangers(members, self._topics, ours)
        silent = {one.id for one in others if heard is not None and is_of_ledger(one, self._own.ledger_id)}
        before, self._silent = self._silent, silent
        return [one for one in others if not is_of_ledger(one, self._own.ledger_id) or one.id in before & silent]


class Neighbours(threading.Thread):
    """Looks at the group every ten seconds, by a client of its own that is no member.

    Args:
        kafka: where the group is.
        own: this instance as a member.
        heard: the ids of the other instances that have reported in so many seconds; None where that is not known.
    """

    def __init__(self, kafka: KafkaSettings, own: Membership, heard: Callable[[float], set[str] | None]) -> None:
        super().__init__(name="neighbours", daemon=True)
        self._kafka = kafka
        self._heard = heard
        self._suspicion = Suspicion(own, kafka.topics)
        self._stopping = threading.Event()
        self._admin: Admin | None = None
        self._trouble = Trouble(OTHERS_READ_OUR_TOPIC, NOBODY_ELSE_READS, time.monotonic)

    @property
    def trouble(self) -> str | None:
        """Which strangers are in the group, and what to do; None where there are none."""
        return self._trouble.reason

    def stop(self) -> None:
        """End the thread, soon."""
        self._stopping.set()
        if self.is_alive():
            self.join(_END)

    def run(self) -> None:
        """Look until stopped. While the broker does not answer, the last finding stays."""
        while not self._stopping.wait(_LOOK_EVERY):
            try:
                self._look()
            except (KafkaError, ConsumerError, OSError) as error:
                log.debug(GROUP_NOT_SEEN, reason=str(error) or type(error).__name__)
                self._close()
        self._close()

    def _look(self) -> None:
        if self._admin is None:
            self._admin = make_admin(self._kafka, admin_options(self._kafka), self._stopping)
        members = members_of(self._admin, self._kafka.group_id)
        if members is None:
            return  # they are on the move
        heard = self._heard(self._kafka.session_timeout_ms / 1000 + _LATE)
        if found := self._suspicion.found(members, heard):
            self._trouble.met(f"{in_words(found, self._kafka.group_id)}: {WAY_OUT}")
        else:
            self._trouble.over()

    def _close(self) -> None:
        if self._admin is not None:
            admin, self._admin = self._admin, None
            admin.close()
