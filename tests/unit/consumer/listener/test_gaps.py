"""Records that cannot be had are on record, and reading goes on where the topic does."""

from __future__ import annotations

from typing import Any

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from consumer.configuration.kafka import KafkaSettings
from consumer.dead_letters.letter import Load
from consumer.ledger.ledger import Ledger
from consumer.listener import gaps as gaps_module
from consumer.listener.gaps import Gaps
from tests.integration.listening import gap_letters
from tests.unit.consumer.listener.assigned import P0, P1, Assigned, broker_with, placed_at

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
"""As the client's errors name them."""
CUT = OffsetAndMetadata(80, "", 1)


def gaps_at(ledger: Ledger, offset: int, log: tuple[int, int] = (0, 1000)) -> tuple[Gaps, Assigned]:
    """A partition that is placed at an offset, in a log that becomes this one then."""
    found = placed_at(ledger.intake, broker_with({P0: (0, 1000), P1: (0, 0)}), {P0: offset})
    found.broker.logs[P0].begins, found.broker.logs[P0].ends = log
    return Gaps(KafkaSettings(topic="t"), ledger.intake, found.assignment, lambda: 1.0, lambda: None), found


@pytest.mark.parametrize(
    ("lost", "cut", "log", "to", "says"),
    [
        ({T0: 100}, {}, (120, 150), 120, "offsets 100 to 119 are gone"),
        ({T0: 100}, {}, (0, 60), 0, "cut off before offset 100: it ends at 60"),
        ({}, {T0: CUT}, (0, 90), 80, "offsets 80 to 99 were read"),
        ({}, {T0: CUT}, (90, 95), 90, "offsets 90 to 99 were read"),
        ({}, {T0: None}, (0, 300), 0, "nobody knows where"),
        ({T0: 100}, {}, (0, 150), 100, None),
        ({}, {T0: OffsetAndMetadata(102, "", 1)}, (0, 150), 100, None),  # only markers were cut
        ({T1: 100}, {}, (120, 150), 100, None),  # another's
    ],
)
def test_where_reading_goes_on_and_what_is_on_record(
    ledger: Ledger, lost: Any, cut: Any, log: tuple[int, int], to: int, says: str | None
) -> None:
    gaps, found = gaps_at(ledger, 100, log)
    gaps.lost(lost)
    gaps.cut(cut)
    gaps.record_gaps(found.consumer)
    assert ledger.intake.positions("t") == {P0: to}
    letters = gap_letters(ledger)
    assert gaps.recorded == len(letters) == (says is not None)
    assert all(offset == 100 and str(says) in reason and "retrain in full" in reason for offset, reason in letters)
    assert (dict(found.assignment.placed), found.assignment.unplaced) == ({}, {P0})
    assert found.consumer.paused() == {P0}


@pytest.mark.parametrize("cut", [False, True])
def test_a_recreated_topic_is_not_taken_for_one_that_was_cut_off(ledger: Ledger, cut: bool) -> None:
    gaps, found = gaps_at(ledger, 100)
    found.broker.recreate("t")
    found.broker.logs[P0].ends = 80
    gaps.cut({T0: CUT}) if cut else gaps.lost({T0: 100})
    gaps.record_gaps(found.consumer)
    assert ledger.intake.marks("t") == {P0: (0, found.broker.ids["t"], None)}
    ((_, reason),) = gap_letters(ledger)
    assert "deleted and recreated" in reason


def test_no_gap_is_recorded_where_somebody_else_has_moved_the_ledger(ledger: Ledger) -> None:
    gaps, found = gaps_at(ledger, 100, (120, 150))
    found.assignment.stored_up_to(P0, 99)  # a step less than the ledger
    gaps.lost({T0: 99})
    gaps.record_gaps(found.consumer)
    assert ledger.intake.positions("t") == {P0: 100}
    assert (gaps.recorded, gap_letters(ledger), found.assignment.unplaced) == (0, [], {P0})


def test_a_broker_that_is_away_puts_the_record_off(ledger: Ledger) -> None:
    gaps, found = gaps_at(ledger, 100, (120, 150))
    found.broker.away = True
    gaps.lost({T0: 100})
    gaps.record_gaps(found.consumer)
    assert (gaps.recorded, gap_letters(ledger), found.assignment.unplaced) == (0, [], {P0})


@pytest.mark.parametrize("admits", [True, False])
def test_the_client_is_put_after_what_a_broker_cannot_read_unless_there_is_no_room_for_the_letter(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, admits: bool
) -> None:
    monkeypatch.setattr(gaps_module, "why_corrupt", lambda *_: "bad crc")
    _, found = gaps_at(ledger, 100)
    asked: list[Load] = []

    def admit(more: Load) -> bool:
        asked.append(more)
        return admits

    gaps = Gaps(
        KafkaSettings(topic="t"),
        ledger.intake,
        found.assignment,
        lambda: 1.0,
        lambda: None,
        admit,
    )
    gaps.pass_over_corrupt(found.consumer)
    assert asked == [Load(1, 0)]
    assert ledger.intake.positions("t") == {P0: 101 if admits else 100}
    assert found.assignment.placed.get(P0) == (101 if admits else None)
    at = found.consumer.position(P0)
    assert at is not None
    assert at.offset == (101 if admits else 100)
