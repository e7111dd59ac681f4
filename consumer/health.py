"""The health check of the container: does the listener still poll, and is no cycle held?

    python -m consumer.health

Exit code 0 when it polled, or tried to reach the broker, within `health.max_age` seconds; else 1, with one line why.
A cycle that runs or fails, a ledger that takes no changes, and a full or read-only disk do not matter here: restarting
the container would not help them, and where the start needs the disk it would go round in circles. What fails is said.

A cycle that was held does matter, since somebody has to look: 1, with the reason and the way out, until a later cycle
ends otherwise. Restarting does not help that either. Docker's restart policies do not heed the check; where something
restarts what is unhealthy, `health.held` off leaves it to the listener alone.
"""

from __future__ import annotations

import sys

from consumer.clock import Clock
from consumer.cycles.failure_report import FailureReport
from consumer.errors import SettingsError
from consumer.plain import one_line, plain
from consumer.settings import load_settings
from consumer.status import STOPPED, read_status


def main() -> int:
    """Run the check and return the exit code."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(plain(str(error)))
        return 1
    status = read_status(settings.status_file)
    if status is None:
        print(f"no service has written {settings.status_file}")
        return 1
    age = status.deafness(Clock())
    if status.state == STOPPED or age > settings.health.max_age:
        print(f"{status.state}: the listener last polled {age:.0f} s ago, more than {settings.health.max_age:.0f} s")
        return 1
    if status.held is not None and settings.health.held:
        print(f"held: {one_line(status.held)}")
        return 1
    failing = f"; failing: {FailureReport(**status.failing).in_words}" if status.failing else ""
    print(f"{status.state}: the listener polled {age:.0f} s ago{failing}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
