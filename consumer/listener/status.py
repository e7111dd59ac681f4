"""How the listener is, for other threads."""

from __future__ import annotations

from dataclasses import dataclass

from consumer.listener.state import ListenerState

_READS = {ListenerState.LISTENING, ListenerState.PLACING, ListenerState.STANDING_BY}


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """How the listener is. The listener replaces the whole object, so any thread may read it at any time."""

    state: ListenerState = ListenerState.CONNECTING
    why: str | None = None
    """The cause of a state in which nothing can be read, where it is known."""
    held: ListenerState | None = None
    """Why nothing is read for now; None where nothing holds reading up."""
    trouble: str | None = None
    """Why the ledger does not take changes; None while it does."""
    polled_at: float = 0.0
    """When the listener last polled, or last tried to reach the broker, seconds since the epoch."""
    polled_elapsed: float | None = None
    """The same moment by `Clock.elapsed`."""
    partitions: int = 0
    lag: int | None = None
    """Records of our partitions that are not stored yet; None where their number is not known."""
    last_lag: int | None = None
    """The lag when it was last known."""
    lag_at: float | None = None
    """When that was, seconds since the epoch."""
    stored_event_at: float | None = None
    """The event time of the newest change in the last batch that was stored; None before the first."""
    caught_up: bool = False
    """Whether all is stored that the partitions held when they were first assigned; True also without partitions."""
    events: int = 0
    ignored: int = 0
    dead: int = 0
    gaps: int = 0
    """How often the topic did not have the next record, since the service was started."""
    notices: tuple[str, ...] = ()
    """What a person should know about the events that come, though nothing is wrong here."""
    reconnects: int = 0
    """How often a client was given up and another one connected."""

    @property
    def unable(self) -> str | None:
        """Why the listener cannot read; None where it can, and where the group gave it no partition."""
        if self.state in _READS or self.state == self.held:
            return None
        return f"{self.state}: {self.why}" if self.why else self.state

    @property
    def complete(self) -> bool:
        """Whether a cycle would cover all there is: all is read, or nothing more is read before a person acts."""
        return self.caught_up or self.held == ListenerState.TOO_MANY_DEAD_LETTERS
