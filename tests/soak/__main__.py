"""Run the service for a while on a real Apache Kafka, and judge whether anything grows that should not.

`make soak MINUTES=120`. A run of an hour or more leaves its results in tests/soak/results.json and its picture in
docs/images/soak.png, one that was watched (`WATCHED=1`) in watched.json and soak-watched.png; a shorter one leaves both
in its own folder.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from benchmarks.machine import machine
from tests.brokers.apache_kafka import missing
from tests.leftovers import guarded
from tests.soak.accounts import settle_up
from tests.soak.picture import draw
from tests.soak.recording import recorded
from tests.soak.run import Wanted, run
from tests.soak.summary import lines, summary
from tests.soak.verdict import judge
from tests.watching.tab import browser_missing

_KEPT_FROM = 60.0
_HERE = Path(__file__).parent
_IMAGES = _HERE.parents[1] / "docs" / "images"


def main() -> int:
    """Run, judge, draw; 1 where something is not flat or not accounted for, 2 where there is no Kafka to run on."""
    told = argparse.ArgumentParser(prog="make soak", description=__doc__)
    told.add_argument("--minutes", type=float, default=120.0, help="how long, from the first version on")
    told.add_argument("--watched", action="store_true", help="with the page open in a browser, and scraped")
    told.add_argument("--steady", action="store_true", help="the broker is never away")
    told.add_argument("--folder", type=Path, help="where the run keeps what it finds; a new one")
    told.add_argument("--judge", type=Path, metavar="FOLDER", help="no run: judge and draw the one in this folder")
    asked = told.parse_args()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))  # so that nothing is left running
    if asked.judge:
        return _judged(asked.judge)
    if lacking := missing():
        print(f"make soak needs a real Apache Kafka: {lacking}", file=sys.stderr)
        return 2
    if asked.watched and (lacking := browser_missing()):
        print(f"make soak WATCHED=1 needs a Chromium: {lacking}", file=sys.stderr)
        return 2
    folder = asked.folder or Path("var/soak") / time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    with guarded():
        run(folder.absolute(), Wanted(asked.minutes, asked.watched, asked.steady), _say, {"machine": machine()})
    return _judged(folder)


def _judged(folder: Path) -> int:
    recording = recorded(folder)
    verdict, over = judge(recording), (folder / "topic.json").exists()
    accounts = settle_up(folder) if over else None
    keep = over and recording.minutes >= _KEPT_FROM
    results, picture = _kept(watched=recording.watched) if keep else (folder / "results.json", folder / "soak.png")
    told = summary(recording, verdict, accounts)
    results.write_text(json.dumps(told, indent=2) + "\n")
    draw(recording, verdict, picture)
    for line in lines(told):
        _say(f"    {line}")
    _say(f"{verdict.word}; see {results} and {picture}")
    return 1 if verdict.word == "not flat" or (accounts and accounts.problems) else 0


def _kept(*, watched: bool) -> tuple[Path, Path]:
    """Where results and picture of a long run are kept: of the last that was watched, and of the last that was not."""
    if watched:
        return _HERE / "watched.json", _IMAGES / "soak-watched.png"
    return _HERE / "results.json", _IMAGES / "soak.png"


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
