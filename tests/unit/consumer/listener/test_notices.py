"""What the listener notices: that nothing of what comes is ours, and that times are in another unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from consumer.dead_letters.letter import DeadLetter
from consumer.ledger.batch import Batch
from consumer.listener.notices import ENOUGH, Notices, Run, about_run, groups_of
from consumer.positions import Partition, Position
from consumer.record_times import Unit
from consumer.settings import Settings
from schemas.events import Operation
from schemas.features import FeatureGroup
from schemas.labels import LabelGroup
from schemas.log_events.listener import NOTHING_IS_OURS

P0 = Partition("t", 0)
GROUP = "listeners, version 1 (RETRAINER_FEATURE_GROUP__…)"
GROUPS = {"t": GROUP}


def read(ours: int = 0, others: int = 0, dead: int = 0, unit: Unit | None = None, reason: str = "no JSON") -> Batch:
    batch = Batch(received_at=1.0, progress={P0: (0, 1)}, events={P0: ours + others + dead})
    for number in range(ours):
        batch.add(f"u{number}", Operation.UPSERT, f"t[0]@{number}", 1.0)
    if others:
        batch.ignored[P0, "another feature group"] = others
    batch.dead += [DeadLetter(Position("t", 0, n), 1.0, None, None, (), "decode", reason) for n in range(dead)]
    if unit is not None:
        batch.units["t", unit] = ours + others + dead
    return batch


class Hand:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_wrong_group_is_told_once_and_as_long_as_it_lasts() -> None:
    clock = Hand()
    notices = Notices(GROUPS, clock)
    with capture_logs() as logged:
        for _ in range(99):
            notices.stored(read(others=1))
        assert (notices.current, logged) == ((), [])
        for _ in range(901):
            notices.stored(read(others=1))
    (told,) = notices.current
    assert told.startswith(f"none of the last 1,000 events of topic t is of {GROUP} (another feature group: 1,000)")
    assert "`retrainer doctor` names what comes" in told
    assert [(line["event"], line["log_level"]) for line in logged] == [(NOTHING_IS_OURS, "warning")]
    assert "none of the last 100 events" in logged[0]["reason"]
    notices.stored(read(ours=1, others=500))
    assert notices.current == ()
    with capture_logs() as logged:
        notices.stored(read(others=500))
        assert len(notices.current) == 1
        assert logged == []  # in a topic of many groups they come and go
        clock.now += 4000
        notices.stored(read(others=1))
        assert len(logged) == 1
        clock.now -= 10_000  # set back: better twice than never
        notices.stored(read(others=1))
        assert len(logged) == 2


def test_dead_letters_alone_are_told_with_the_last_reason() -> None:
    notices = Notices(GROUPS, Hand())
    notices.stored(read(dead=150, reason="no JSON"))
    notices.stored(read(dead=1, reason="entry is missing"))
    (told,) = notices.current
    assert told.startswith(
        "none of the last 151 events of topic t can be understood, the last because: entry is missing"
    )
    notices.stored(read(others=10))
    assert "151 cannot be understood, another feature group: 10" in notices.current[0]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 150), st.integers(0, 150)), max_size=12))
def test_it_is_told_just_when_none_of_so_many_was_ours(batches: list[tuple[int, int, int]]) -> None:
    run = Run()
    for ours, others, dead in batches:
        run = run.after(read(ours, others, dead), "t")
    last = max((at for at, batch in enumerate(batches) if batch[0]), default=-1)
    unused = sum(others + dead for _, others, dead in batches[last + 1 :])
    assert run.events == unused
    assert (about_run(run, "t", GROUP) is not None) == (unused >= ENOUGH)


@pytest.mark.parametrize("unit", ["seconds", "microseconds", "nanoseconds"])
def test_times_in_another_unit_are_told_until_they_are_right(unit: Unit) -> None:
    notices = Notices(GROUPS, Hand())
    with capture_logs() as logged:
        notices.stored(read(ours=3, unit=unit))
        notices.stored(read(ours=2, unit=unit))
    (told,) = notices.current
    assert told.startswith(f"5 records of topic t have times in {unit}, not in milliseconds")
    assert "LogAppendTime" in told
    assert len(logged) == 1
    notices.stored(Batch(received_at=2.0))  # nothing came
    assert list(notices.current) == [told]
    notices.stored(read(ours=1))
    assert list(notices.current) == []


def test_each_topic_is_told_of_by_itself() -> None:
    labelled = Settings(
        feature_group=FeatureGroup(name="listeners"),
        labels=LabelGroup(name="follows"),
        kafka={"topic": "t", "label_topic": "labels"},
    )
    groups = groups_of(labelled)
    assert groups == {
        "t": "listeners, version 1 (RETRAINER_FEATURE_GROUP__…)",
        "labels": "follows, version 1 (RETRAINER_LABELS__…)",
    }
    notices = Notices(groups, Hand())
    batch = read(others=200)
    batch.events[Partition("labels", 0)] = 1  # one of ours, on the other topic
    notices.stored(batch)
    (told,) = notices.current
    assert "of topic t is of listeners" in told
    shared = labelled.model_copy(update={"kafka": labelled.kafka.model_copy(update={"label_topic": None})})
    assert list(groups_of(shared)) == ["t"]
    assert "listeners" in groups_of(shared)["t"]
    assert "follows" in groups_of(shared)["t"]
