"""Whoever sets the machine's clock holds nothing up and hurries nothing: all waits go by a clock that nobody sets."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.clock import Ages, Clock, Jumps, this_boot
from consumer.cycles.deciding import Deciding
from consumer.cycles.trigger import Hold, Start
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.service import Service
from consumer.settings import Settings, TrainerProcessSettings
from consumer.status import ServiceState, Status, read_status, write_status
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.policies import TriggerPolicy
from tests.contract.ledgers import P0, batch, take

HOUR = 3600.0
JUMPS = [-3 * HOUR, 3 * HOUR]


class Hands:
    """Both clocks, moved by hand; `jump` sets the wall clock as a person does."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 5000.0
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def jump(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_both_clocks_run() -> None:
    clock = Clock()
    assert abs(clock.now() - time.time()) < 5
    assert abs(clock.elapsed() - time.monotonic()) < 5


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-1e5, 1e5)), min_size=1, max_size=8), st.floats(-1e6, 1e6))
def test_an_age_grows_as_time_goes_by_whatever_the_clock_is_set_to(
    steps: list[tuple[float, float]], ago: float
) -> None:
    hands = Hands()
    ages, at = Ages(hands.clock), hands.wall - ago
    ages.see([at, None])
    first = ages.moment(at)
    assert first == pytest.approx(hands.steady - max(0.0, ago))
    for seconds, jump in steps:
        hands.go(seconds)
        hands.jump(jump)
        ages.see([at])
        assert ages.moment(at) == first
    assert ages.moment(None) is None


def test_a_jump_is_seen_once_and_drift_is_none(hands: Hands) -> None:
    jumps = Jumps(hands.clock)
    hands.go(1000)
    assert jumps.seen() == 0
    hands.jump(-3 * HOUR)
    hands.go(0.5)
    assert jumps.seen() == pytest.approx(-3 * HOUR)
    for _ in range(100):
        hands.go(0.5)
        hands.jump(0.05)  # NTP brings a clock up to date
        assert jumps.seen() == 0


def test_what_is_not_on_record_any_more_is_forgotten(hands: Hands) -> None:
    ages = Ages(hands.clock)
    for number in range(1000):
        ages.see([float(number)])
    assert len(ages._known) == 1


@pytest.mark.parametrize("jump", JUMPS)
def test_a_service_writes_and_reports_as_often_as_before(tmp_path: Path, hands: Hands, jump: float) -> None:
    settings = Settings(state_dir=tmp_path, trainer=TrainerProcessSettings(warm=False))
    with closing(open_ledger(settings.ledger.url)) as ledger:
        service = Service(settings, ledger, hands.clock)

        def turns() -> tuple[int, int]:
            written, reported = set(), set()
            for _ in range(20):
                hands.go(0.5)
                assert service._turned()
                status = read_status(settings.status_file)
                assert status is not None
                written.add(status.written_at)
                reported |= {one.seen_at for one in ledger.instances.seen_since(0.0)}
            return len(written), len(reported)

        before = turns()
        assert before == (10, 4)
        hands.jump(jump)
        assert turns() == before


def decided(hands: Hands, ledger: Ledger, deciding: Deciding) -> Start | Hold:
    outcome = deciding.decide(busy=False, probing=False, caught_up=True).outcome
    assert isinstance(outcome, Start) or hasattr(outcome, "hold")
    return outcome if isinstance(outcome, Start) else outcome.hold


def first_version(hands: Hands, ledger: Ledger) -> None:
    """It ends now; a user changed just before."""
    fence = take(ledger)
    ledger.intake.start_at({P0: 0}, hands.wall)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", hands.wall - 5, fence=fence)
    result = CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="first", base_version=None, version=1, known_users=4
    )
    ledger.cycles.settle(result, hands.wall, fence=fence)
    ledger.intake.record(batch(P0, 0, ["a"], now=hands.wall))


@pytest.mark.parametrize("jump", JUMPS)
def test_the_interval_after_a_cycle_is_as_long_as_ever(hands: Hands, ledger: Ledger, jump: float) -> None:
    first_version(hands, ledger)
    deciding = Deciding(TriggerPolicy(), ledger, hands.clock)
    assert decided(hands, ledger, deciding) is Hold.INTERVAL
    hands.jump(jump)
    hands.go(299)
    assert decided(hands, ledger, deciding) is Hold.INTERVAL
    hands.go(1)
    assert isinstance(decided(hands, ledger, deciding), Start)


def test_an_end_of_the_future_counts_as_now_and_never_again(hands: Hands, ledger: Ledger) -> None:
    """A service that starts on a ledger whose last cycle was ended by a clock that was ten hours ahead."""
    first_version(hands, ledger)
    hands.jump(-10 * HOUR)
    deciding = Deciding(TriggerPolicy(), ledger, hands.clock)
    found = deciding.decide(busy=False, probing=False, caught_up=True)
    assert found.until == hands.wall + 300
    hands.go(300)
    assert isinstance(decided(hands, ledger, deciding), Start)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_change_waits_as_long_as_ever_and_the_moment_told_is_one_of_the_wall_clock(
    hands: Hands, ledger: Ledger, jump: float
) -> None:
    first_version(hands, ledger)
    deciding = Deciding(TriggerPolicy(changed_share=1.0), ledger, hands.clock)
    hands.go(400)
    assert decided(hands, ledger, deciding) is Hold.THRESHOLD
    hands.jump(jump)
    found = deciding.decide(busy=False, probing=False, caught_up=True)
    assert (found.hold, found.until) == (Hold.THRESHOLD.value, hands.wall + 3200)
    hands.go(3199)
    assert decided(hands, ledger, deciding) is Hold.THRESHOLD
    hands.go(1)
    assert isinstance(decided(hands, ledger, deciding), Start)


WELL = Status(
    pid=1,
    state="listening",
    written_at=0.0,
    polled_at=0.0,
    lag=0,
    hold=None,
    cycle=None,
    boot=this_boot(),
    written_elapsed=5000.0,
    polled_elapsed=4990.0,
)


@pytest.mark.skipif(this_boot() is None, reason="this machine does not tell one boot from another")
def test_how_old_a_status_is_is_told_by_the_clock_that_nobody_sets(hands: Hands) -> None:
    hands.go(3)
    for at in (hands.wall, hands.wall - 3 * HOUR, hands.wall + 3 * HOUR):
        status = replace(WELL, written_at=at, polled_at=at)
        assert (status.silence(hands.clock), status.deafness(hands.clock)) == (3.0, 13.0)
        assert status.alive(hands.clock)
    hands.go(10)
    assert not replace(WELL, written_at=hands.wall).alive(hands.clock)


def test_a_status_of_another_boot_or_machine_is_told_by_the_wall_clock(hands: Hands) -> None:
    other = replace(WELL, boot="another", written_at=hands.wall - 4, polled_at=hands.wall - 5)
    assert (other.silence(hands.clock), other.deafness(hands.clock)) == (4.0, 5.0)
    assert other.alive(hands.clock)
    for off in JUMPS:  # one of the future is no sign of life either
        assert not replace(other, written_at=hands.wall + off).alive(hands.clock)
    assert not replace(other, state=ServiceState.STOPPED).alive(hands.clock)


@pytest.mark.skipif(this_boot() is None, reason="this machine does not tell one boot from another")
def test_of_two_status_files_the_later_is_read_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr("consumer.status._IN_MEMORY", memory)
    state = tmp_path / "state"
    state.mkdir()
    from consumer.status import _elsewhere

    file, later = state / "status.json", replace(WELL, written_at=-3 * HOUR, written_elapsed=5001.0)
    write_status(_elsewhere(file), later)
    (state / "status.json").write_text((_elsewhere(file)).read_text().replace("5001.0", "5000.0"))
    assert read_status(file) == later
    write_status(file, replace(WELL, boot="the one before", written_at=1e12, written_elapsed=9e9))
    write_status(_elsewhere(file), later)
    assert read_status(file) == later
