"""What the bridge decides: when it begins, compares, holds back, asks somebody, and rides out trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from consumer.configuration.bridge import BridgeSettings
from retrainer.bridge.bridge import Bridge
from retrainer.bridge.errors import BridgeError
from retrainer.bridge.orders import Orders
from retrainer.bridge.ports import Commits, Link, TopicState
from retrainer.bridge.state import BridgeState
from schemas.log_events.bridge import ROWS_WITHOUT_KEY, TOPIC_BEFORE_BASELINE, TOPIC_CREATED
from stores.errors import ContractError, NotThere, Refused
from tests.unit.retrainer.bridge.bridging import DELETE, UPSERT, Bench
from tests.waiting import wait_until


def test_a_first_run_takes_a_baseline_and_creates_the_topic_after_it() -> None:
    bench = Bench()
    bench.group.commit({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
    seen: list[TopicState] = []
    bench.group.meanwhile = lambda: seen.append(bench.topic.found)
    bench.bridge().once()
    assert (seen, bench.topic.found) == ([TopicState.MISSING], TopicState.EMPTY)
    assert bench.topic.events == []
    bench.group.commit({"b": 5.0}, ["c"])
    bench.bridge().once()
    assert bench.topic.events[0][1] == bench.group.ids[-1]
    assert bench.topic.told() == [("b", UPSERT), ("c", DELETE)]


def test_a_group_without_commits_is_waited_for() -> None:
    bench = Bench()
    bench.bridge().once()
    assert (bench.group.snapshots, bench.topic.found) == (0, TopicState.MISSING)
    bench.baseline(3)


def test_everybody_is_published_if_told_to_and_a_restart_goes_on_with_that() -> None:
    bench = Bench()
    bench.group.commit({f"u{number}": 1.0 for number in range(7)})
    bench.topic.failing = [None, 1]
    with pytest.raises(BridgeError, match="not acknowledged"):
        bench.bridge(Orders(publish_existing=True)).once()
    assert len(bench.topic.events) == 3
    bench.bridge().once()  # the order is remembered
    assert {key for key, _ in bench.topic.told()} == bench.group.rows.keys()
    assert len(bench.topic.events) == 8  # one twice, those stored not again


def test_nothing_is_read_while_there_is_no_new_commit() -> None:
    bench = Bench()
    bench.baseline(3)
    bridge = bench.bridge()
    bridge.once()
    bench.now += 3600
    bridge.once()
    assert bench.group.snapshots == 1


def test_after_a_long_time_it_compares_without_a_commit() -> None:
    bench = Bench()
    bench.baseline(3)
    bench.group.rows["u1"] = 9.0  # written by somebody who died before the commit was registered
    bench.now += bench.settings.recompare_after
    bench.bridge().once()
    assert bench.topic.told() == [("u1", UPSERT)]


def test_it_can_be_told_never_to_compare_without_a_commit() -> None:
    bench = Bench(BridgeSettings(recompare_after=0))
    bench.baseline(3)
    bench.now += 1e9
    bench.bridge().once()
    assert bench.group.snapshots == 1


def test_a_commit_from_a_clock_that_is_behind_is_seen() -> None:
    bench = Bench()
    bench.baseline(3)
    bench.group.commit({"u1": 9.0})
    bench.group.ids = [bench.group.ids[0] - 1, bench.group.ids[0]]
    bench.bridge().once()
    assert bench.topic.told() == [("u1", UPSERT)]


def test_rows_without_a_key_are_nobody_to_tell_of() -> None:
    bench = Bench()
    bench.baseline(3)
    bench.group.keyless = 2
    bench.group.commit({"u1": 9.0})
    with capture_logs() as said:
        bench.bridge().once()
    assert bench.topic.told() == [("u1", UPSERT)]
    assert {"rows": 2, "event": ROWS_WITHOUT_KEY}.items() <= said[0].items()


def test_a_commit_while_a_snapshot_is_read_is_found_at_the_next_look() -> None:
    bench = Bench()
    bench.baseline(6)
    bench.group.commit({"u1": 8.0})
    bench.group.meanwhile = lambda: bench.group.commit({"u2": 9.0})
    bridge = bench.bridge()
    bridge.once()
    bridge.once()
    assert bench.topic.told() == [("u1", UPSERT), ("u2", UPSERT)]


def test_a_snapshot_that_breaks_off_deletes_nobody() -> None:
    bench = Bench(BridgeSettings(chunk=2, max_deleted_share=1.0))
    bench.baseline(9)
    bench.group.commit({"u1": 9.0, "u2": 9.0}, ["u8"])
    bench.group.broken_after = 6
    with pytest.raises(BridgeError, match="broke off"):
        bench.bridge().once()
    assert bench.topic.told() == [("u1", UPSERT), ("u2", UPSERT)]
    bench.group.broken_after = None
    bench.bridge().once()
    assert bench.topic.told()[2:] == [("u8", DELETE)]


def test_a_delete_that_was_not_acknowledged_is_published_again() -> None:
    bench = Bench()
    bench.baseline(6)
    bench.group.commit({}, ["u1", "u2", "u3"])
    bench.topic.failing = [1]
    with pytest.raises(BridgeError, match="not acknowledged"):
        bench.bridge().once()
    bench.bridge().once()
    assert bench.topic.told() == [("u1", DELETE), ("u1", DELETE), ("u2", DELETE), ("u3", DELETE)]


def test_whoever_may_have_been_spoken_of_is_spoken_of_again_whatever_is_there_by_then() -> None:
    bench = Bench()
    bench.baseline(6)
    bench.group.commit({"u1": 9.0, "new": 9.0})
    bench.topic.failing = [2]
    with pytest.raises(BridgeError, match="not acknowledged"):
        bench.bridge().once()
    bench.group.commit({"u1": 1.0}, ["new"])  # as if nothing had been
    bench.bridge().once()
    assert bench.topic.told()[2:] == [("u1", UPSERT), ("new", DELETE)]


class TestTooManyDeletes:
    def test_they_are_held_back_and_what_changed_is_published(self) -> None:
        bench = Bench()
        bench.baseline(4)
        bench.group.commit({"u0": 9.0, "new": 9.0}, ["u1", "u2", "u3"])
        with pytest.raises(BridgeError, match=r"3 of 5 known users .* --accept-deletes"):
            bench.bridge().once()
        assert bench.topic.told() == [("u0", UPSERT), ("new", UPSERT)]
        assert bench.state.count() == 5

    def test_half_of_the_users_may_go(self) -> None:
        bench = Bench()
        bench.baseline(4)
        bench.group.commit({}, ["u1", "u2"])
        bench.bridge().once()
        assert bench.topic.told() == [("u1", DELETE), ("u2", DELETE)]

    def test_no_number_of_attempts_gets_a_group_made_anew_past_it(self) -> None:
        bench = Bench()
        bench.baseline(4)
        bench.group.commit({f"new{number}": 1.0 for number in range(8)}, [f"u{number}" for number in range(4)])
        for _ in range(3):
            with pytest.raises(BridgeError, match="4 of 12"):
                bench.bridge().once()
        assert DELETE not in {operation for _, operation in bench.topic.told()}

    def test_an_empty_answer_changes_nothing(self) -> None:
        bench = Bench()
        bench.baseline(4)
        bench.group.commit({"u0": 9.0})
        bench.group.answers = {}
        with pytest.raises(BridgeError, match="4 of 4"):
            bench.bridge().once()
        bench.group.answers = None
        bench.bridge().once()
        assert bench.topic.told() == [("u0", UPSERT)]

    def test_they_are_accepted_once(self) -> None:
        bench = Bench()
        bench.baseline(4)
        bench.group.commit({}, ["u1", "u2", "u3"])
        bridge = bench.bridge(Orders(accept_deletes=True))
        bridge.once()
        assert [key for key, _ in bench.topic.told()] == ["u1", "u2", "u3"]
        bench.group.commit({}, ["u0"])
        with pytest.raises(BridgeError, match="1 of 1"):
            bridge.once()

    def test_the_comparison_is_repeated_less_and_less_often_until_a_commit_comes(self) -> None:
        bench = Bench(BridgeSettings(poll_interval=10))
        bench.baseline(4)
        bench.group.commit({}, ["u1", "u2", "u3"])
        bridge = bench.bridge()
        looked = []
        for _ in range(20):
            try:
                bridge.once()
            except BridgeError:
                looked.append(bench.now)
            bench.now += 10
        assert [late - early for early, late in pairwise(looked)] == [20, 40, 80]
        bench.group.commit({"u1": 1.0, "u2": 2.0})
        bridge.once()
        assert bench.topic.told() == [("u3", DELETE)]


class TestBeginning:
    @pytest.fixture
    def lost(self) -> Bench:
        """The state is lost, and the topic holds events."""
        bench = Bench()
        bench.baseline(3)
        bench.group.commit({"u0": 9.0})
        bench.bridge().once()
        bench.topic.events.clear()
        bench.topic.found = TopicState.USED
        fresh = Bench(group=bench.group)
        fresh.topic = bench.topic
        fresh.group.commit({"u1": 9.0})
        return fresh

    def test_a_lost_state_is_not_passed_over(self, lost: Bench) -> None:
        for _ in range(2):
            with pytest.raises(
                BridgeError, match=r"no state .* another bridge .* --new-baseline .* --publish-existing"
            ):
                lost.bridge().once()
        assert lost.topic.events == []

    def test_a_new_baseline_is_taken_when_told_to(self, lost: Bench) -> None:
        lost.bridge(Orders(new_baseline=True)).once()
        assert lost.topic.events == []
        lost.group.commit({"u2": 9.0})
        lost.bridge(Orders(new_baseline=True)).once()  # with a state there is nothing to begin
        assert lost.topic.told() == [("u2", UPSERT)]

    def test_everybody_is_published_when_told_to(self, lost: Bench) -> None:
        lost.bridge(Orders(publish_existing=True)).once()
        assert {key for key, _ in lost.topic.told()} == {"u0", "u1", "u2"}
        assert lost.topic.learned == lost.group.rows

    def test_a_baseline_that_was_cut_short_is_taken_anew(self) -> None:
        bench = Bench()
        bench.group.commit({f"u{number}": 1.0 for number in range(9)})
        bench.group.broken_after = 6
        with pytest.raises(BridgeError):
            bench.bridge().once()
        assert bench.topic.found is TopicState.MISSING
        bench.group.broken_after = None
        bench.group.commit({"u0": 2.0}, ["u1"])
        bench.bridge().once()
        assert bench.topic.events == []
        assert bench.state.count() == 8

    def test_a_crash_before_the_topic_was_created_is_made_good(self) -> None:
        bench = Bench()
        bench.baseline(3)
        bench.topic.found = TopicState.MISSING
        bench.bridge().once()
        assert bench.topic.found is TopicState.EMPTY

    def test_a_topic_that_went_is_created_again_with_a_warning(self) -> None:
        bench = Bench()
        bench.baseline(3)
        bridge = bench.bridge()
        bridge.once()
        bench.topic.found = TopicState.MISSING
        bench.group.commit({"u1": 9.0})
        with pytest.raises(BridgeError, match="UnknownTopic"):
            bridge.once()
        with structlog.testing.capture_logs() as logs:
            bridge.once()
        assert TOPIC_CREATED in [line["event"] for line in logs]
        assert bench.topic.told() == [("u1", UPSERT)]

    def test_a_topic_that_is_there_before_the_baseline_is_warned_of(self) -> None:
        bench = Bench()
        bench.topic.found = TopicState.EMPTY
        with structlog.testing.capture_logs() as logs:
            bench.baseline(3)
        assert TOPIC_BEFORE_BASELINE in [line["event"] for line in logs]


@pytest.mark.parametrize("error", [ContractError("few lacks taste"), Refused("few keeps no commits")])
def test_a_group_that_cannot_be_watched_ends_it_with_the_reason(error: Exception) -> None:
    bench = Bench()

    def refuse() -> None:
        raise error

    bench.group.check_contract = refuse  # type: ignore[method-assign]
    with pytest.raises(BridgeError, match=str(error)):
        bench.bridge().run()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[Bench, Callable[[], Link]], None]]:
    """Runs a bridge in a thread, as the command does, with a state of its own."""
    stopping, threads = threading.Event(), []

    def run(bench: Bench, connect: Callable[[], Link]) -> None:
        with closing(BridgeState(tmp_path / "state.db")) as state:
            Bridge(BridgeSettings(poll_interval=0.05), state, connect, Orders(), stopping).run()

    def start(bench: Bench, connect: Callable[[], Link]) -> None:
        threads.append(threading.Thread(target=run, args=(bench, connect)))
        threads[0].start()

    yield start
    stopping.set()
    threads[0].join(5)
    assert not threads[0].is_alive()


Running = Callable[[Bench, Callable[[], Link]], None]


def test_cluster_and_broker_that_are_away_are_waited_for(running: Running) -> None:
    bench = Bench()
    bench.group.away = True
    bench.group.commit({"u1": 1.0, "u2": 1.0})
    running(bench, bench.link)
    bench.group.away = False
    wait_until(lambda: bench.topic.found is TopicState.EMPTY, 10, "the topic")
    bench.topic.failing = [0]
    bench.group.commit({"u2": 9.0})
    wait_until(lambda: bench.topic.told() == [("u2", UPSERT)], 10, "the event after the broker's trouble")


def test_a_group_that_went_is_looked_for_anew(running: Running) -> None:
    bench = Bench()
    bench.group.commit({"u1": 1.0})
    gone = [NotThere("the group has gone"), NotThere("no such group")]
    links: list[Link] = []

    def connect() -> Link:
        if links and len(gone) == 1:
            raise gone.pop()
        links.append(bench.link())
        return links[-1]

    running(bench, connect)
    wait_until(lambda: bench.topic.found is TopicState.EMPTY, 10, "the topic")
    real = bench.group.recent

    def recent() -> Commits:
        bench.group.recent = real  # type: ignore[method-assign]
        raise gone.pop()

    bench.group.recent = recent  # type: ignore[method-assign]
    wait_until(lambda: len(links) == 2, 10, "another connection")
    bench.group.commit({"u1": 2.0})
    wait_until(lambda: bench.topic.told() == [("u1", UPSERT)], 10, "the event")


def test_it_stops_between_two_chunks() -> None:
    bench = Bench()
    bench.baseline(9)
    bench.group.commit({f"u{number}": 50.0 for number in range(9)})
    stopping = threading.Event()
    bench.group.meanwhile = stopping.set
    Bridge(bench.settings, bench.state, bench.link, Orders(), stopping).run()
    assert len(bench.topic.events) < 9
    bench.bridge().once()
    assert bench.topic.learned == bench.group.rows
