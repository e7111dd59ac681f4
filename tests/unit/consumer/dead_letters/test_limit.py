"""A flood holds up reading at its limit until there is room: nothing is stored beyond it, nothing is skipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from consumer.configuration.dead_letters import DeadLetterSettings
from consumer.dead_letters.letter import DeadLetter, Load
from consumer.dead_letters.limit import DeadLetterLimit, fits
from consumer.dead_letters.log import DeadLetterLog
from consumer.listener.pauses import Pauses
from consumer.listener.state import ListenerState
from consumer.listener.status import ListenerStatus
from consumer.positions import Position
from schemas.log_events.listener import DEAD_LETTER, DEAD_LETTERS

LIMIT = Load(10, 1000)


@pytest.mark.parametrize(
    ("still_open", "more", "expected"),
    [
        (Load(0, 0), Load(3, 30), True),
        (Load(7, 0), Load(3, 0), True),
        (Load(7, 0), Load(4, 0), False),
        (Load(1, 900), Load(1, 100), True),
        (Load(1, 900), Load(1, 101), False),
        (Load(99, 9999), Load(0, 0), True),  # a batch without dead letters is no matter of the flood
        (Load(0, 0), Load(99, 9999), True),  # or it would never be read
        (Load(1, 1), Load(99, 9999), False),
    ],
)
def test_what_fits(still_open: Load, more: Load, expected: bool) -> None:
    assert fits(still_open, more, LIMIT) is expected


@dataclass
class World:
    """A ledger's count and a clock."""

    now: float = 0.0
    there: Load = field(default_factory=lambda: Load(0, 0))
    looks: int = 0
    broken: bool = False
    pauses: Pauses = field(default_factory=Pauses)

    def count(self) -> Load:
        self.looks += 1
        if self.broken:
            raise OperationalError("SELECT", {}, Exception("disk I/O error"))
        return self.there

    def limit(self) -> DeadLetterLimit:
        settings = DeadLetterSettings(limit=10, megabytes=1, check_every=5.0)
        state = ListenerState.TOO_MANY_DEAD_LETTERS
        hold, release = partial(self.pauses.hold, state), partial(self.pauses.release, state)
        return DeadLetterLimit(settings, self.count, hold, release, lambda: self.now)


def test_the_batch_that_would_exceed_the_limit_holds_up_reading_until_there_is_room_for_it() -> None:
    world = World(there=Load(8, 0))
    limit = world.limit()
    assert limit.admits(Load(2, 0))
    limit.stored(Load(2, 0))
    world.there = Load(10, 0)
    with capture_logs() as logs:
        assert not limit.admits(Load(3, 0))
    assert world.pauses.reason == ListenerState.TOO_MANY_DEAD_LETTERS
    (line,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert (line["open"], line["limit"], line["arrived"]) == (10, 10, 3)
    assert "retrainer dead-letters" in line["todo"]
    world.there = Load(8, 0)
    world.now = 6.0
    limit.tick()
    assert world.pauses.reason == ListenerState.TOO_MANY_DEAD_LETTERS  # room for two, three wait
    world.there = Load(7, 0)
    world.now = 7.0
    limit.tick()
    assert world.pauses.reason == ListenerState.TOO_MANY_DEAD_LETTERS  # it looks again after five seconds
    world.now = 11.0
    limit.tick()
    assert world.pauses.reason is None
    assert limit.admits(Load(3, 0))


def test_it_does_not_ask_the_ledger_for_every_batch_but_before_it_refuses_one() -> None:
    world = World()
    limit = world.limit()
    for _ in range(5):
        assert limit.admits(Load(2, 0))
        limit.stored(Load(2, 0))
    assert world.looks == 1
    assert limit.admits(Load(0, 0))
    world.there = Load(4, 0)  # an operator made room meanwhile
    assert limit.admits(Load(2, 0))
    assert world.looks == 2


def test_what_others_stored_is_seen_within_seconds() -> None:
    world = World()
    limit = world.limit()
    assert limit.admits(Load(1, 0))
    world.there, world.now = Load(10, 0), 5.0
    assert not limit.admits(Load(1, 0))


def test_a_ledger_that_does_not_tell_keeps_the_pause() -> None:
    world = World(there=Load(10, 0))
    limit = world.limit()
    assert not limit.admits(Load(1, 0))
    world.broken, world.now = True, 5.0
    limit.tick()
    assert world.pauses.reason == ListenerState.TOO_MANY_DEAD_LETTERS
    world.broken, world.there, world.now = False, Load(0, 0), 10.0
    limit.tick()
    assert world.pauses.reason is None


def test_cycles_do_not_wait_for_what_is_read_only_after_an_operator_acted() -> None:
    assert ListenerStatus(caught_up=True).complete
    assert not ListenerStatus(caught_up=False, held=ListenerState.LEDGER_REFUSES).complete
    assert ListenerStatus(caught_up=False, held=ListenerState.TOO_MANY_DEAD_LETTERS).complete


def letter(offset: int) -> DeadLetter:
    return DeadLetter(Position("t", 0, offset), 0.0, None, b"x", (), "decode", f"reason {offset}")


def test_a_million_dead_letters_are_a_few_lines_a_second() -> None:
    now = 0.0
    told = DeadLetterLog(lambda: now)
    with capture_logs() as logs:
        told.tell([letter(offset) for offset in range(3)])
        told.tell([letter(offset) for offset in range(3, 1000)])
        told.tick()
    assert [line["position"] for line in logs] == [f"t[0]@{offset}" for offset in range(5)]
    now = 1.0
    with capture_logs() as logs:
        told.tick()
        told.tick()
    assert [(line["event"], line["more"], line["last"]) for line in logs] == [(DEAD_LETTERS, 995, "t[0]@999")]
    with capture_logs() as logs:
        told.tell([letter(1000)])
    assert [line["event"] for line in logs] == [DEAD_LETTER]
