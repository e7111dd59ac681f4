"""The demo: broker, simulator and service, one wave after another, and an account of it on the screen."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

from retrainer.demo.broker import embedded_broker
from retrainer.demo.children import Child, tail
from retrainer.demo.errors import DemoError, DemoUsageError
from retrainer.demo.lines import Line, Lines
from retrainer.demo.narration import Said, of_commit, of_record
from retrainer.demo.plan import Plan, as_shell, called, inherited
from retrainer.demo.screen import Screen
from retrainer.demo.story import Story
from retrainer.demo.waves import Committed
from schemas.log_events.bridge import NO_MORE_WAVES

_LOOK_AGAIN = 0.5  # seconds between two looks at children that say nothing
_LAST_WORDS = 5.0  # seconds for what an ended child has left in its pipe


class Demo:
    """Runs a plan in a state folder that is claimed already, and shows the story on a screen."""

    def __init__(self, plan: Plan, story: Story, screen: Screen) -> None:
        self._plan = plan
        self._story = story
        self._screen = screen
        self._lines = Lines()
        self._deadline = time.monotonic() + plan.limit
        self._closed: set[str] = set()  # children whose pipe has ended
        self._stack = ExitStack()

    def run(self) -> bool:
        """Start everything, let every wave be learned, stop everything.

        Returns:
            Whether the bootstrap registered a version and every wave ended in a version or a recorded refusal.

        Raises:
            DemoError: a child failed, or the time was over; the message ends with the last lines of its log.
        """
        with self._stack:
            broker = self._stack.enter_context(embedded_broker(self._plan.log_of("broker")))
            self._say("broker", f"embedded and Kafka-compatible, answers on {broker}, keeps everything in memory")
            settings = self._plan.settings(broker)
            (self._plan.state / "demo.env").write_text(as_shell(settings))
            environment = inherited(os.environ, settings)
            simulator = self._start("simulator", self._plan.simulator, environment)
            self._wait(lambda: bool(self._story.commits), simulator)
            service = self._start("service", self._plan.service, environment)
            self._wait(lambda: self._story.settled or self._story.stuck, simulator, service)
            while not self._story.stuck and len(self._story.commits) <= self._plan.waves:
                if not self._wave(simulator, service):
                    self._say("simulator", NO_MORE_WAVES)
                    break
            self._stop(service)
        return self._story.succeeded

    def _start(self, name: str, command: list[str], environment: Mapping[str, str]) -> Child:
        """Start a child that writes JSON lines: the service as its log, the simulator as its answers."""
        answers = name == "simulator"
        with self._plan.log_of(name).open("ab") as log:
            child = Child(
                name,
                command,
                env=environment,
                stdin=subprocess.PIPE if answers else subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else log,
                stderr=log if answers else subprocess.PIPE,
            )
        self._stack.enter_context(child)
        pipe = child.process.stdout if answers else child.process.stderr
        assert pipe is not None
        self._lines.follow(name, pipe, self._plan.log_of(name))
        self._say(name, f"{called(command)}   (process {child.pid})")
        return child

    def _wave(self, simulator: Child, service: Child) -> bool:
        """Ask for a wave and wait until it is learned. False when the listeners have no more waves."""
        before = len(self._story.commits)
        assert simulator.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; how, is seen below
            simulator.process.stdin.write(b"\n")
            simulator.process.stdin.flush()
        self._wait(lambda: len(self._story.commits) > before or "simulator" in self._closed, service)
        if len(self._story.commits) == before:
            if simulator.stop() != 0:
                self._child_ended(simulator)
            return False
        self._wait(lambda: self._story.settled or self._story.stuck, service)
        return True

    def _stop(self, service: Child) -> None:
        self._say("demo", "stopping the service")
        status = service.stop()
        self._wait(lambda: "service" in self._closed)
        if status:
            raise DemoError(f"the service ended with status {status}\n{tail(self._plan.log_of('service'))}")

    def _wait(self, until: Callable[[], bool], *needed: Child) -> None:
        """Show what happens until a condition holds. The `needed` children may not end before."""
        while True:
            for line in self._lines.within(_LOOK_AGAIN):
                self._show(line)
            if until():
                return
            for child in needed:
                if child.name in self._closed or child.ended() is not None:
                    self._child_ended(child)
            if time.monotonic() > self._deadline:
                last = tail(self._plan.log_of("service"))
                raise DemoError(
                    f"the demo did not end within {self._plan.limit:.0f} s; the service's last lines:\n{last}"
                )

    def _child_ended(self, child: Child) -> None:
        status = child.stop()
        patience = time.monotonic() + _LAST_WORDS
        while child.name not in self._closed and time.monotonic() < patience:
            for line in self._lines.within(_LOOK_AGAIN):
                self._show(line)
        why = f"the {child.name} ended with status {status}\n{tail(self._plan.log_of(child.name))}"
        raise (DemoUsageError if status == 2 else DemoError)(why)

    def _show(self, line: Line) -> None:
        if line.record is None:
            self._closed.add(line.source)
        elif line.source == "simulator":
            committed = Committed(**line.record)
            self._story.committed(committed)
            self._screen.say(of_commit(committed))
        else:
            self._story.feed(line.record)
            self._screen.say(of_record(self._story, line.record))

    def _say(self, subject: str, text: str) -> None:
        self._screen.say([Said(subject, text)])
