"""The rate at which a service takes events while its page is open and it is scraped, beside one that is left alone.

All read the same topic of one Apache Kafka, in turns, each in a process of its own. What each has read and kept is
compared before any time counts. The browser and the scraper are processes of their own, too: a machine of two cores is
shared by service, broker and browser, and what they take from each other counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.ingest.rate import CHECKOUT, Topic, check
from benchmarks.ingest.sides import LONGEST_SECONDS
from benchmarks.ingest.topic import broker, ends
from benchmarks.ingest.watched_side import READY, STORED
from benchmarks.rows import NotMeasured, ResultsDifferError, Row, Setup, comparison
from consumer.status import read_status
from tests.waiting import wait_until
from tests.watching.scraper import Scrape, Scraper
from tests.watching.tab import browser_missing, page_open

NAME = "ingest.watched"
LEAST = 0.95
_START = 60.0


def watched(setup: Setup) -> list[Row]:
    """2,000,000 events of 100,000 users, so that a run has several scrapes of the metrics in it.

    Raises:
        NotMeasured: there is no Apache Kafka, or no Chromium.
        ResultsDifferError: a side did not keep what the topic has, or a scrape was not answered.
    """
    if lacking := browser_missing():
        raise NotMeasured(f"a page needs a Chromium: {lacking}")
    events, users, rounds = setup.size(2_000_000, 3_000), setup.size(100_000, 300), setup.size(3, 1)
    found: dict[str, list[float]] = {side: [] for side in ("alone", "watched", "served")}
    scrapes: list[Scrape] = []
    with broker() as address:
        topic = Topic.filled(address, "watched", events, users)
        short = Topic.filled(address, "short", events // 20, users)  # as a core is all that it has beside a busy thread
        for number in range(rounds):
            for side, rates in found.items():
                rates.append(_rate(side, topic, setup.folder / f"{number}-{side}", scrapes))
        beside = {side: _rate(side, short, setup.folder / f"short-{side}", scrapes) for side in ("alone", "busy")}
    if failed := [one for one in scrapes if one.failed]:
        raise ResultsDifferError(f"{len(failed)} of {len(scrapes)} scrapes failed, the first: {failed[0].failed}")
    rate = {side: statistics.median(rates) for side, rates in found.items()}
    slowest = max((one.ms for one in scrapes), default=0.0)
    note = (
        f"{events:,} events of {users:,} users, median of {rounds}; {len(scrapes)} scrapes, the slowest {slowest:.0f}"
        f" ms; served and not asked {rate['served'] / rate['alone']:.2f} of the rate; beside a thread that computes"
        f" all the time {beside['busy'] / beside['alone']:.2f}"
    )
    ratio = rate["watched"] / rate["alone"]
    peer = "the service that serves nothing"
    return [comparison(NAME, rate["watched"], peer, rate["alone"], "/s", ratio=ratio, least=LEAST, note=note)]


def _rate(side: str, topic: Topic, folder: Path, scrapes: list[Scrape]) -> float:
    """Events a second of one run in a new `folder`; of one that is watched, what was scraped goes to `scrapes`."""
    folder.mkdir()
    count = topic.events.total()
    module = "benchmarks.ingest.watched_side"
    command = [sys.executable, "-m", module, side, topic.address, topic.name, str(count), str(folder)]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "service.log").open("w"))
        process = stack.enter_context(
            subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=log, text=True)
        )
        stack.callback(process.kill)
        if side == "watched":
            url = wait_until(lambda: _served(process, folder), _START, "the service to say where it serves")
            stack.enter_context(page_open(url, folder / "tab.jsonl"))
            scraper = Scraper(url, scrapes.append)
            scraper.start()
            stack.callback(scraper.stop)
            (folder / READY).touch()
            wait_until(lambda: _stored(process, folder), LONGEST_SECONDS, "all events to be stored")
            scraper.stop()
            (folder / READY).unlink()
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        code = process.wait()
    if code != 0:
        raise RuntimeError(f"{side} ended with {code}: {(folder / 'service.log').read_text()[-2000:]}")
    result = json.loads(lines[-1])
    check("ours", result["next"], ends(topic.address, topic.name), folder / "kept.tsv", topic.events)
    return count / float(result["seconds"])


def _stored(process: subprocess.Popen[str], folder: Path) -> bool:
    return process.poll() is not None or (folder / STORED).exists()


def _served(process: subprocess.Popen[str], folder: Path) -> str:
    if process.poll() is not None:
        raise RuntimeError(
            f"the service ended with {process.returncode}: {(folder / 'service.log').read_text()[-2000:]}"
        )
    status = read_status(folder / "status.json")
    return (status.http or "") if status else ""
