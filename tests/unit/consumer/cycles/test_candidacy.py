"""Who stands for the lease: whoever can read, or anybody where nobody can."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumer.cycles.candidacy import Candidacy


class Clocked(Candidacy):
    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(lambda: self.now)

    def at(
        self, now: float, *, reads: bool = False, others: bool = True, holds: bool = True, busy: bool = False
    ) -> bool:
        self.now = now
        return self.stands(reads=reads, others_read=others, holds=holds, busy=busy)


def test_who_reads_stands_and_who_does_not_stands_where_nobody_does() -> None:
    one = Clocked()
    for holds in (False, True):
        assert one.at(0.0, reads=True, holds=holds)
        assert one.at(100.0, others=False, holds=holds)


def test_who_cannot_read_takes_no_lease_while_another_could() -> None:
    one = Clocked()
    assert not one.at(0.0, holds=False)
    assert one.at(1.0, holds=False, others=False)
    assert not one.at(1000.0, holds=False)
    assert one.at(1001.0, holds=False, reads=True)


def test_a_holder_gives_the_lease_back_after_a_while_without_reading() -> None:
    one = Clocked()
    assert one.at(0.0)
    assert one.at(9.9)
    assert not one.at(10.0)


def test_a_holder_that_reads_now_and_then_keeps_it() -> None:
    one = Clocked()
    for second in range(1000):
        assert one.at(float(second), reads=second % 9 == 0)


def test_an_outage_for_all_moves_nothing_and_counts_from_when_another_is_back() -> None:
    one = Clocked()
    assert one.at(0.0, others=False)
    assert one.at(500.0, others=False)
    assert one.at(501.0)
    assert one.at(510.9)
    assert not one.at(511.0)


def test_a_cycle_under_way_is_ended_first() -> None:
    one = Clocked()
    assert one.at(0.0, busy=True)
    assert one.at(600.0, busy=True)
    assert not one.at(601.0)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.floats(0.1, 20.0)), max_size=60),
)
def test_whatever_happened_before_somebody_always_stands(
    story: list[tuple[bool, bool, bool, bool, float]],
) -> None:
    """Of two whose sight of each other is right, at least one does: nobody's reading ends for the lease."""
    first, second, now = Clocked(), Clocked(), 0.0
    for first_reads, second_reads, first_holds, busy, elapsed in story:
        now += elapsed
        stand = [
            first.at(now, reads=first_reads, others=second_reads, holds=first_holds, busy=busy and first_holds),
            second.at(
                now, reads=second_reads, others=first_reads, holds=not first_holds, busy=busy and not first_holds
            ),
        ]
        assert any(stand)
