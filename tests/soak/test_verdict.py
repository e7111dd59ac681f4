"""The verdict of a soak on made-up runs: what is flat, what is not, and what does not fool it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.check import MIB
from tests.soak.plan import stops
from tests.soak.recording import Cycle, Moment, Recording, Scrape, Tab, Trainer
from tests.soak.summary import lines, summary
from tests.soak.verdict import Verdict, judge

HOUR = 3600.0
Change = Callable[[Moment], Moment]


def moment(at: float) -> Moment:
    """A steady service: a cycle every 40 s, which three samples of four catch in flight."""
    cycles_so_far = int(at // 40) + 1
    return Moment(
        at=at,
        quiet=at % 40 >= 30,
        pid=7,
        rss=77 * MIB + int(at) % 7 * 4096,
        uss=60 * MIB,
        handles=17,
        threads=6,
        cpu=at / 50,
        waiting=750 * MIB if at % 40 >= 30 else None,
        waiting_handles=12 if at % 40 >= 30 else None,
        ledger_file=MIB,
        ledger_wal=4 * MIB,
        free=MIB // 2,
        tables={"changes": 40_960, "offsets": 8_192, "learned": 200_000 + int(at) * 9, "cycles": cycles_so_far * 3_000},
        rows={"cycles": cycles_so_far, "versions": cycles_so_far},
        work_files=9,
        work_bytes=9 * MIB,
        registry_bytes=cycles_so_far * 4 * MIB,
        log_bytes=int(at) * 300,
        polled_ago=0.1,
        lag=0,
        pending=int(at) % 40 * 5,
        stored=int(at) * 75,
    )


def steady(minutes: float = 120.0) -> Recording:
    """Two hours in which nothing grows that may not."""
    seconds = int(minutes * 60)
    return Recording(
        minutes=minutes,
        moments=tuple(moment(float(at)) for at in range(0, seconds, 10)),
        trainers=tuple(Trainer(at, 890 * MIB, 4.0, 14, 8) for at in range(0, seconds, 40)),
        cycles=tuple(Cycle(at, at + 5, "incremental", "registered") for at in range(0, seconds, 40)),
        away=((2_880.0, 3_480.0),),
        facts={"machine": {"commit": "0123456789"}},
    )


def watched() -> Recording:
    """The same, with its page open and scraped all the time."""
    recording = steady()
    return replace(
        recording,
        facts={**recording.facts, "watched": True},
        scrapes=tuple(
            Scrape(float(at), path, 8.0 + at % 11, answered=True)
            for path, every in (("metrics", 5), ("api/v1/status", 2))
            for at in range(0, int(recording.seconds), every)
        ),
        tab=tuple(Tab(float(at), 3 * MIB + at % 9 * 40_000, 900 + at % 7, 0) for at in range(0, 7_200, 10)),
    )


def altered(change: Change) -> Recording:
    """The same with every moment changed."""
    recording = steady()
    return replace(recording, moments=tuple(map(change, recording.moments)))


def grown(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.flat]


def test_a_steady_run_is_flat() -> None:
    verdict = judge(steady())
    assert grown(verdict) == []
    assert verdict.word == "flat"


def test_a_short_run_is_too_short_to_tell_whatever_it_shows() -> None:
    assert judge(steady(2)).word == "too short to tell"
    assert judge(steady(0.1)).word == "too short to tell"
    assert judge(Recording(minutes=120, moments=())).word == "too short to tell"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("consumer memory", lambda m: replace(m, rss=m.rss + int(8 * MIB * m.at / HOUR))),
        ("consumer memory, slope", lambda m: replace(m, rss=m.rss + int(1.5 * MIB * m.at / HOUR))),
        ("consumer handles", lambda m: replace(m, handles=m.handles + int(m.at / 900))),
        ("consumer threads", lambda m: replace(m, threads=m.threads + int(m.at / 900))),
        (
            "waiting trainer's memory",
            lambda m: replace(m, waiting=m.waiting and m.waiting + int(m.at * 12_000)),
        ),
        (
            "waiting trainer's handles",
            lambda m: replace(m, waiting_handles=m.waiting_handles and m.waiting_handles + int(m.at / 900)),
        ),
        ("write-ahead log", lambda m: replace(m, ledger_wal=m.ledger_wal + int(2 * MIB * m.at / HOUR))),
        ("trainers' folder", lambda m: replace(m, work_bytes=m.work_bytes + int(2 * MIB * m.at / HOUR))),
        ("files in the trainers' folder", lambda m: replace(m, work_files=m.work_files + m.rows["cycles"])),
        (
            "ledger beside its records",
            lambda m: replace(m, tables={**m.tables, "changes": 40_960 + int(MIB * m.at / HOUR)}),
        ),
        (
            "ledger beside its records",  # while its free pages are used up
            lambda m: replace(
                m,
                tables={**m.tables, "changes": 40_960 + int(0.2 * MIB * m.at / HOUR)},
                free=int((0.5 - 0.2 * m.at / HOUR) * MIB),
            ),
        ),
        ("ledger's free pages", lambda m: replace(m, free=int(1.5 * MIB * m.at / HOUR))),
        ("ledger bytes a cycle", lambda m: replace(m, tables={**m.tables, "cycles": m.rows["cycles"] ** 2 * 20})),
        ("one consumer", lambda m: replace(m, pid=7 if m.at < HOUR else 8)),
    ],
)
def test_what_grows_is_named(name: str, change: Change) -> None:
    verdict = judge(altered(change))
    assert name in grown(verdict)
    assert set(grown(verdict)) <= {name, "consumer memory, slope"}
    assert verdict.word == "not flat"


def test_a_steady_run_that_is_watched_is_flat() -> None:
    verdict = judge(watched())
    assert grown(verdict) == []
    assert verdict.word == "flat"
    assert {check.name for check in verdict.checks} - {check.name for check in judge(steady()).checks} == {
        "page answered", "metrics, milliseconds", "status, milliseconds", "tab's JavaScript", "tab's nodes",
        "tab's console",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("page answered", lambda one: replace(one, answered=one.at != 3_600)),
        ("metrics, milliseconds", lambda one: replace(one, ms=5_000.0 if one.at % 250 == 0 else one.ms)),
        ("status, milliseconds", lambda one: replace(one, ms=5_000.0 if one.at % 96 == 0 else one.ms)),
    ],
)
def test_a_server_that_stops_answering_or_is_slow_is_named(name: str, change: Callable[[Scrape], Scrape]) -> None:
    recording = watched()
    verdict = judge(replace(recording, scrapes=tuple(map(change, recording.scrapes))))
    assert name in grown(verdict)
    assert verdict.word == "not flat"


def test_a_run_in_which_nobody_asked_any_more_is_not_flat() -> None:
    recording = watched()
    early = tuple(one for one in recording.scrapes if one.at < 5_000)
    verdict = judge(replace(recording, scrapes=early))
    assert grown(verdict) == ["page answered"]
    told = verdict.check("page answered")
    assert told is not None
    assert told.told.endswith("none was made in quarter 4")
    assert "nobody asked" in {check.told for check in judge(replace(recording, scrapes=())).checks}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tab's JavaScript", lambda one: replace(one, heap=one.heap + int(3 * MIB * one.at / HOUR))),
        ("tab's nodes", lambda one: replace(one, nodes=one.nodes + int(200 * one.at / HOUR))),
        ("tab's console", lambda one: replace(one, errors=int(one.at == 100))),
    ],
)
def test_a_page_that_leaks_or_complains_is_named(name: str, change: Callable[[Tab], Tab]) -> None:
    recording = watched()
    verdict = judge(replace(recording, tab=tuple(map(change, recording.tab))))
    assert grown(verdict) == [name]
    assert verdict.word == "not flat"


def test_a_page_that_was_gone_is_not_flat() -> None:
    recording = watched()
    gone = replace(recording, tab=tuple(one for one in recording.tab if one.at < 5_000))
    assert grown(judge(gone)) == ["tab's JavaScript", "tab's nodes"]


def test_a_consumer_that_is_large_for_one_moment_is_named() -> None:
    large = altered(lambda m: replace(m, rss=121_000_000) if m.at == 3_000 else m)
    assert grown(judge(large)) == ["consumer memory, most"]
    assert grown(judge(altered(lambda m: replace(m, rss=119_000_000) if m.at == 3_000 else m))) == []


def test_a_peak_of_the_trainers_that_rises_is_named() -> None:
    recording = steady()
    rising = tuple(replace(one, peak=one.peak + int(60 * MIB * one.ended / HOUR)) for one in recording.trainers)
    assert grown(judge(replace(recording, trainers=rising))) == ["trainers' peak memory"]


def test_handles_that_the_trainers_take_more_of_each_time_are_named() -> None:
    recording = steady()
    rising = tuple(replace(one, handles=one.handles + int(one.ended / 900)) for one in recording.trainers)
    assert grown(judge(replace(recording, trainers=rising))) == ["trainers' most handles"]


def test_cycles_that_no_longer_register_are_named() -> None:
    recording = steady()
    ending = tuple(cycle for cycle in recording.cycles if cycle.claimed < 1.4 * HOUR)
    assert grown(judge(replace(recording, cycles=ending))) == ["cycles go on"]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: (
            m if m.quiet or m.at < HOUR else replace(m, rss=m.rss + 30 * MIB, handles=40, threads=15, work_files=14)
        ),
        lambda m: replace(m, rss=m.rss + 30 * MIB) if 2_880 < m.at < 3_600 else m,
        lambda m: replace(m, rss=m.rss + 30 * MIB) if m.at > 2 * HOUR - 40 else m,
        lambda m: replace(m, rss=m.rss - 20 * MIB) if m.at < 1_200 else m,
    ],
    ids=["cycles in flight", "a catch-up in the second quarter", "the last moments", "warming up"],
)
def test_what_passes_fools_nobody(change: Change) -> None:
    verdict = judge(altered(change))
    assert [name for name in grown(verdict) if "slope" not in name] == []


def test_the_summary_tells_first_and_last_and_what_a_cycle_takes() -> None:
    recording = steady()
    told = summary(recording, judge(recording), None)
    assert told["verdict"] == "flat"
    assert told["ledger"]["bytes_a_cycle"] == 3_000
    assert told["broker_away_minutes"] == 10.0
    assert told["consumer"]["handles"] == {"least": 17, "median": 17, "most": 17}
    assert told["trainer"]["waiting_handles"] == {"least": 12, "median": 12, "most": 12}
    assert told["trainer"]["most_handles"] == {"least": 14, "median": 14, "most": 14}
    assert told["commit"] == "0123456789"
    assert told["consumer"]["rss_mib"][0]["median"] == pytest.approx(77.01)
    assert told["outcomes"] == {"registered": 180}


@pytest.mark.parametrize("kept", ["results.json", *(path.name for path in Path(__file__).parent.glob("watched.json"))])
def test_what_the_documentation_quotes_of_the_runs_that_are_kept_is_what_their_results_say(kept: str) -> None:
    results = json.loads(Path(__file__).with_name(kept).read_text())
    quoted = (Path(__file__).parents[2] / "docs" / "runs.md").read_text().splitlines()
    assert [line for line in lines(results) if f"    {line}" not in quoted] == []


def test_the_broker_is_away_twice_for_a_twelfth_of_a_run_and_restarts_beside() -> None:
    warming_up, later = [stop for stop in stops(7_200) if stop.away]
    assert warming_up.away == later.away == 600
    assert warming_up.at + warming_up.away < 7_200 / 4 < 7_200 / 2 < later.at < later.at + later.away < 7_200 * 3 / 4
    assert len(stops(7_200)) == 5
    assert [stop.away for stop in stops(120)] == [10]
    assert all(
        later.at > earlier.at + earlier.away for earlier, later in zip(stops(7_200), stops(7_200)[1:], strict=False)
    )
