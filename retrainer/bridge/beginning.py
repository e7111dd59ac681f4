"""The start of the bridge, decided from its state and the topic together."""

from __future__ import annotations

import structlog

from retrainer.bridge.errors import BridgeError
from retrainer.bridge.orders import TOPIC_WITHOUT_STATE, Orders
from retrainer.bridge.ports import Topic, TopicState
from retrainer.bridge.state import BridgeState, Progress
from schemas.log_events.bridge import TOPIC_BEFORE_BASELINE, TOPIC_CREATED

log = structlog.get_logger()


class Beginning:
    """Decides between going on, a baseline, and an error for a person.

    The topic is created after the baseline: a service without its topic trains nothing. So no model was trained on a
    snapshot older than the first hashes, and no change is missed in between.
    """

    def __init__(self, state: BridgeState, orders: Orders) -> None:
        self._state = state
        self._orders = orders
        self._topic_is_there = False

    def progress(self, topic: Topic) -> Progress:
        """Where to go on.

        Raises:
            BridgeError: the state is missing, but there was one, or another bridge has it.
        """
        progress = self._state.progress()
        if progress is None or (progress.commits is None and not progress.publishes):
            progress = self._begin(topic)
        if progress.publishes or progress.commits is not None:
            self.have_topic(topic, first=progress.commits is None)
        return progress

    def have_topic(self, topic: Topic, *, first: bool) -> None:
        """Create the topic where it is missing; `first` says that it cannot have been there before."""
        if self._topic_is_there:
            return
        if topic.state() is TopicState.MISSING:
            if not first:
                log.warning(
                    TOPIC_CREATED,
                    topic=topic.name,
                )
            topic.create()
        self._topic_is_there = True

    def look_again(self) -> None:
        """The same at a restart: the topic may be gone."""
        self._topic_is_there = False

    def _begin(self, topic: Topic) -> Progress:
        orders, found = self._orders, topic.state()
        if found is TopicState.USED and not (orders.publish_existing or orders.new_baseline):
            raise BridgeError(TOPIC_WITHOUT_STATE.format(topic=topic.name))
        if found is TopicState.EMPTY and not orders.publish_existing:
            log.warning(
                TOPIC_BEFORE_BASELINE,
                topic=topic.name,
            )
        return self._state.begin(publishes=orders.publish_existing)
