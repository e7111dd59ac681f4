"""How long the polls of a backlog are gathered before they are stored in one transaction.

The more events of a user come together, the fewer rows are written. What is gathered is read again after a crash, as
the offsets move with the rows; so it costs no safety, but memory and time, and both are bounded here.
"""

from __future__ import annotations

from dataclasses import dataclass

from consumer.ledger.batch import Batch

MOST_KEYS = 50_000
"""Users and labels after which a batch is stored: about 20 MB. A poll more may come on top."""
LONGEST = 1.0
"""Seconds after which a batch is stored, counted from its first records."""
MANY = 1_000
"""Records of a poll that is taken for one of a backlog; where polls may not be so large, nothing is gathered."""


@dataclass(slots=True)
class Window:
    """A batch that is open: the client has read further than the ledger by what is in it.

    `opened_at` is by a clock that nobody sets; `moves` are those of the assignment then.
    """

    batch: Batch
    opened_at: float
    moves: int

    def stays_open(self, now: float, came: int, *, more_waits: bool) -> bool:
        """Whether to poll once more before the batch is stored.

        Args:
            now: by the clock of `opened_at`.
            came: how many records the last poll brought.
            more_waits: whether the broker has more.
        """
        batch = self.batch
        return (
            more_waits
            and came >= MANY
            and not batch.dead  # they are large, and their room is limited
            and len(batch.users) + len(batch.labels) < MOST_KEYS
            and now - self.opened_at < LONGEST
        )
