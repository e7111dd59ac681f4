"""`make crash`: kill a service on an Apache Kafka again and again, count what is left, print it and keep it.

Results of 200 kills and more replace those that are kept with the code; those of fewer lie in build/.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.brokers.apache_kafka import apache_kafka
from tests.crash import results
from tests.crash.harness import Run
from tests.crash.plan import Plan
from tests.crash.tally import Tally
from tests.leftovers import guarded

_TELL_EVERY = 10  # kills


def main() -> int:
    """1 where something is lost, duplicated or wrong, or where a long run left something out."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the state folder, as a run that fails does anyway")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="retrainer-crash-"))
    with guarded(), apache_kafka() as broker, Run(folder, broker, asked.seed) as run:
        tally = _carried_out(run, asked.kills, asked.seed)
    kept = results.path_for(asked.kills)
    results.write(tally, asked.seed, instances=1, path=kept)
    for finding in tally.findings[:50]:
        print(f"{finding.kind}: {finding.what}")
    left_out = results.left_out(tally) if asked.kills >= results.FULL else []
    if left_out:
        print(f"left out: {', '.join(left_out)}")
    print(results.summary(tally))
    print(f"written to {kept}")
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
        if len(tally.kills) >= told + _TELL_EVERY:
            told = len(tally.kills)
            print(results.progress(tally, kills), flush=True)

    run.kill(Plan(seed), kills, tell)
    return run.settle()


if __name__ == "__main__":
    sys.exit(main())
