"""`make crash`: kill a service on an Apache Kafka again and again, count what is left, print it and keep it."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from schemas.fault_points import Point
from tests.brokers.apache_kafka import apache_kafka
from tests.crash import results
from tests.crash.harness import Run, Tally
from tests.crash.plan import Plan

_TELL_EVERY = 10  # kills


def main() -> int:
    """1 where something is lost, duplicated or wrong, or where a long run left out a point."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the state folder, as a run that fails does anyway")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="retrainer-crash-"))
    with apache_kafka() as broker, Run(folder, broker, asked.seed) as run:
        tally = _carried_out(run, asked.kills, asked.seed)
    results.write(tally, asked.seed, instances=1)
    for finding in tally.findings[:50]:
        print(f"{finding.kind}: {finding.what}")
    long = asked.kills >= 2 * len(Point)
    left_out = results.never_fired(tally) if long else []
    if left_out:
        print(f"never reached: {', '.join(left_out)}")
    print(results.summary(tally))
    failed = bool(tally.findings or left_out)
    if failed or asked.keep:
        print(f"all of it is in {folder}")
    else:
        shutil.rmtree(folder)
    return int(failed)


def _carried_out(run: Run, kills: int, seed: int) -> Tally:
    told = 0

    def tell(tally: Tally) -> None:
        nonlocal told
        if tally.kills.total() >= told + _TELL_EVERY:
            told = tally.kills.total()
            print(results.progress(tally, kills), flush=True)

    run.kill(Plan(seed), kills, tell)
    run.settle()
    return run.judge()


if __name__ == "__main__":
    sys.exit(main())
