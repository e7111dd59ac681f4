"""What a release leaves: its real service runs two cycles, and dies in the third while changes wait.

    python -m tests.earlier.leave FOLDER

runs the code that Python finds first: with PYTHONPATH set to the checkout of an earlier release, the code of that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from retrainer.demo.broker import embedded_broker
from schemas.fault_points import Point
from tests.integration.service import Service
from tests.waiting import wait_until
from tests.worlds import names

USERS, LEFT, WAITING = 200, 40, 10


def leave(state: Path) -> None:
    """Fill a state folder: versions 1 and 2, their vectors and reports, a running cycle, and changes that wait."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with embedded_broker(state.parent / "broker.log") as broker:
        service = Service(state, broker, VECTORS__OUT=str(state / "vectors"), GATE__MIN_USERS="20")
        try:
            service.fill(USERS)
            service.start()
            service.wait_for_cycles(1)
            service.wave(1)
            service.wait_for_cycles(2)
            wait_until(lambda: _vectors_of(service) == 2, 120, "the vectors of version 2")
            service.stop()
            service.wave(2)
            with service.standing_still_at(Point("trainer.fit.before")):
                service.store.commit(service.world.rows(names(WAITING, start=150)))
                service.topic.relay(service.store)
                wait_until(lambda: service.status()["pending"]["users"] == WAITING, 60, "changes that wait")
        finally:
            if service.process is not None:
                service.die()
            service.store.close()
    for name in ("service.log", "status.json", "trainer.fit.before.reached"):
        (state / name).unlink(missing_ok=True)


def _vectors_of(service: Service) -> object:
    found = service.status()["vectors"]
    return found and found["version"]


if __name__ == "__main__":
    os.environ.setdefault("RETRAINER_REPORTS__HTML", "false")
    leave(Path(sys.argv[1]).absolute())
