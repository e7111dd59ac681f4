"""Decisions of a person: the texts that ask for them, and the answers."""

from __future__ import annotations

from dataclasses import dataclass

TOPIC_WITHOUT_STATE = (
    "topic {topic} holds events, but there is no state of the bridge here. Either another bridge has it: then leave the"
    " work to that one. Or it is lost, and what changed since its last commit is not known: then start once with"
    " --new-baseline and run `retrainer train --full` after that; or with --publish-existing, which publishes every"
    " user, but no delete"
)
DELETES_HELD_BACK = (
    "an incomplete answer of the query service, or a recreated group, looks like this. Nobody was deleted; the"
    " comparison is repeated. If the users are gone indeed, stop the bridge and start it once with --accept-deletes"
)


@dataclass(frozen=True, slots=True)
class Orders:
    """The decisions of a person for this start."""

    publish_existing: bool = False
    """Publish all users, where there is no state."""
    new_baseline: bool = False
    """Without a state, accept the group as it is, although the topic was written to."""
    accept_deletes: bool = False
    """Accept the first comparison, whatever share of the users it deletes."""
