"""The health check of the container: does the listener still poll, and is no cycle held?

    python -m consumer.health

The exit code is 0 when the listener polled, or tried to reach the broker, within `health.max_age` seconds; else 1,
with one line that says why. A cycle that runs or fails, a ledger that takes no changes, and a full or read-only disk
do not change the code: a restart of the container would not help, and would be repeated without end where the start
needs the disk. The line names what fails.

A cycle that was held makes the code 1, with the reason and the way out, until a later cycle ends otherwise: a person
has to look. A restart does not help here either. Docker's restart policies ignore the check; where something else
restarts unhealthy containers, set `health.held` to off, and the listener alone decides. `/healthz` gives the same
judgement.
"""

from __future__ import annotations

import sys

from consumer.clock import Clock
from consumer.cycles.failure_report import FailureReport
from consumer.errors import SettingsError
from consumer.plain import one_line, plain
from consumer.settings import Settings, load_settings
from consumer.status import ServiceState, Status, read_status


def judged(status: Status | None, settings: Settings, clock: Clock) -> tuple[bool, str]:
    """Whether the service is well, and the line that says so or why not.

    Args:
        status: what the service said last; None where it has said nothing.
        settings: of the service.
        clock: the time.
    """
    if status is None:
        return False, f"no service has written {settings.status_file}"
    age, longest = status.deafness(clock), settings.health.max_age
    if status.state == ServiceState.STOPPED or age > longest:
        return False, f"{status.state}: the listener last polled {age:.0f} s ago, more than {longest:.0f} s"
    if status.held is not None and settings.health.held:
        return False, f"held: {one_line(status.held)}"
    failing = f"; failing: {FailureReport(**status.failing).in_words}" if status.failing else ""
    return True, f"{status.state}: the listener polled {age:.0f} s ago{failing}"


def main() -> int:
    """Run the check and return the exit code."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(plain(str(error)))
        return 1
    well, line = judged(read_status(settings.status_file), settings, Clock())
    print(line)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
