"""A cycle's progress: steps, counts and figures, one JSON line each. Between two lines a cycle can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from schemas.cycle import Progress, Step
from schemas.fault_points import Point, reached
from trainer.errors import CycleAbandoned

Facts = dict[str, float | int | str]

_ASK_EVERY = 0.5  # seconds between looks at `stopping` while the trainer waits for its permit


class Reporter:
    """Reports a cycle's steps to `send`, and ends the cycle between two reports once `stopping` says so.

    `permitted` waits up to so many seconds for the consumer's permit, and returns whether it came.
    """

    def __init__(
        self,
        cycle_id: str,
        send: Callable[[Progress], None],
        stopping: Callable[[], bool],
        permitted: Callable[[float], bool],
    ) -> None:
        self._cycle_id = cycle_id
        self._send = send
        self._stopping = stopping
        self._permitted = permitted
        self.seconds: dict[Step, float] = {}
        self.starts: dict[Step, datetime] = {}

    @contextmanager
    def step(self, step: Step) -> Iterator[Facts]:
        """One step of the cycle; the yielded facts are reported at its end.

        Raises:
            CycleAbandoned: the cycle was stopped before this step.
        """
        reached(Point(f"trainer.{step}.before"))
        self._report(step, "started")
        facts: Facts = {}
        self.starts[step] = datetime.now(UTC)
        start = time.monotonic()
        yield facts
        self.seconds[step] = round(time.monotonic() - start, 3)
        self._send(Progress(cycle_id=self._cycle_id, step=step, state="done", facts=facts))
        reached(Point(f"trainer.{step}.after"))

    def running(self, step: Step, done: int, total: int | None, facts: Facts | None = None) -> None:
        """`done` of `total` units of a step; None where the total is not known.

        Raises:
            CycleAbandoned: the cycle was stopped.
        """
        self._report(step, "running", done, total, facts)

    def ask(self, step: Step) -> None:
        """Wait until the consumer confirms that it still owns the cycle.

        Raises:
            CycleAbandoned: the cycle was stopped instead.
        """
        self._report(step, "asking")
        while not self._permitted(_ASK_EVERY):
            if self._stopping():
                raise CycleAbandoned(f"asked to stop in step {step}")

    def _report(
        self, step: Step, state: str, done: int | None = None, total: int | None = None, facts: Facts | None = None
    ) -> None:
        if self._stopping():
            raise CycleAbandoned(f"asked to stop in step {step}")
        line = {"cycle_id": self._cycle_id, "step": step, "state": state, "done": done, "total": total}
        self._send(Progress.model_validate({**line, "facts": facts or {}}))
