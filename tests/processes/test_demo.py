"""The demo paces waves by what the service says, ends with the truth, and leaves no process behind.

Simulator and service are stand-ins here, which speak as the real ones do; the broker is the real one.
"""

import io
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from retrainer.demo.demo import Demo
from retrainer.demo.errors import DemoError, DemoUsageError
from retrainer.demo.narration import Said
from retrainer.demo.plan import Plan
from retrainer.demo.screen import Screen
from retrainer.demo.story import Story

SIMULATOR = """
import json, sys
has = int(sys.argv[1])
def commit(wave):
    print(json.dumps(dict(wave=wave, title="w", changed=60, new=0, deleted=0, users=100, events=60)), flush=True)
commit(0)
for wave, _ in zip(range(1, has + 1), sys.stdin):
    commit(wave)
sys.exit(int(sys.argv[2]))
"""

SERVICE = """
import json, os, pathlib, signal, sys, time
told = pathlib.Path(os.environ["RETRAINER_STATE_DIR"], "told")
outcomes, status = json.loads(sys.argv[1]), int(sys.argv[2])
def say(event, **fields):
    print(json.dumps(dict(event=event, level="info", **fields)), file=sys.stderr, flush=True)
def stop(*_):
    say("stopped")
    os._exit(status)
signal.signal(signal.SIGTERM, stop)
for number, outcome in enumerate(outcomes):
    while not told.exists() or int(told.read_text() or -1) < number:
        time.sleep(0.005)
    if outcome == "die":
        print("Traceback: something broke", file=sys.stderr, flush=True)
        sys.exit(7)
    kind = "incremental" if number else "bootstrap"
    say("cycle started", cycle_id=f"c{number}", kind=kind, reason="r", users=60, base_version=number or None)
    version = number + 1 if outcome == "registered" else None
    say("cycle ended", cycle_id=f"c{number}", kind=kind, outcome=outcome, version=version, reason="because",
        changed_users=60, seconds=0.1)
while True:  # a signal that comes right before signal.pause() would wait there with it
    time.sleep(0.005)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn(Plan):
    """A plan whose simulator has so many waves and then ends, and whose service ends its cycles as told."""

    limit: float = 30.0
    outcomes: tuple[str, ...] = ()
    service_status: int = 0
    has: int = 99
    simulator_status: int = 0

    @property
    def simulator(self) -> list[str]:
        return [sys.executable, "-c", SIMULATOR, str(self.has), str(self.simulator_status)]

    @property
    def service(self) -> list[str]:
        return [sys.executable, "-c", SERVICE, json.dumps(self.outcomes), str(self.service_status)]


class Relaying(Screen):
    """Lets the stand-in for the service hear of a wave once it has been told: a real cycle takes longer than that."""

    def __init__(self, story: Story, told: Path) -> None:
        super().__init__(story, Console(file=io.StringIO()))
        self._commits = story.commits
        self._told = told

    def say(self, said: Iterable[Said]) -> None:
        super().say(said)
        if self._commits:
            self._told.write_text(str(self._commits[-1].wave))


def run(plan: Plan, story: Story, screen: type[Relaying] = Relaying) -> bool:
    plan.state.mkdir(exist_ok=True)
    before = psutil.Process().children(recursive=True)  # other tests' brokers
    try:
        return Demo(plan, story, screen(story, plan.state / "told")).run()
    finally:
        assert psutil.Process().children(recursive=True) == before


def outcomes(story: Story) -> list[str | None]:
    return [cycle.outcome for cycle in story.cycles]


def test_every_wave_is_asked_for_once_the_last_is_learned(tmp_path: Path) -> None:
    story = Story()
    told = ("registered", "registered", "rejected", "inconclusive")
    assert run(StandIn(state=tmp_path, waves=3, outcomes=told), story)
    assert [commit.wave for commit in story.commits] == [0, 1, 2, 3]
    assert outcomes(story) == list(told)
    assert [cycle.wave for cycle in story.cycles] == [0, 1, 2, 3]
    assert "RETRAINER_STATE_DIR" in (tmp_path / "demo.env").read_text()
    assert '"stopped"' in (tmp_path / "service.log").read_text()  # asked to stop, not killed


def test_without_waves_the_first_version_is_all(tmp_path: Path) -> None:
    story = Story()
    assert run(StandIn(state=tmp_path, waves=0, outcomes=("registered",)), story)
    assert len(story.commits) == 1


@pytest.mark.parametrize("outcome", ["rejected", "inconclusive", "failed"])
def test_no_first_version_is_no_success_and_no_wave_follows(tmp_path: Path, outcome: str) -> None:
    story = Story()
    assert not run(StandIn(state=tmp_path, outcomes=(outcome,)), story)
    assert len(story.commits) == 1


def test_a_failed_cycle_is_no_success(tmp_path: Path) -> None:
    story = Story()
    assert not run(StandIn(state=tmp_path, waves=3, outcomes=("registered", "failed", "registered")), story)
    assert outcomes(story)[:2] == ["registered", "failed"]


def test_listeners_with_fewer_waves_than_asked_for_are_enough(tmp_path: Path) -> None:
    story = Story()
    assert run(StandIn(state=tmp_path, waves=9, has=1, outcomes=("registered",) * 9), story)
    assert len(story.commits) == 2


def test_a_service_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"service ended with status 7\n[^$]*something broke"):
        run(StandIn(state=tmp_path, outcomes=("registered", "die")), Story())


def test_a_service_that_ends_badly_when_stopped_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="service ended with status 3"):
        run(StandIn(state=tmp_path, waves=1, outcomes=("registered", "registered"), service_status=3), Story())


@pytest.mark.parametrize(("status", "error"), [(1, DemoError), (2, DemoUsageError)])
def test_a_simulator_that_fails_ends_the_demo(tmp_path: Path, status: int, error: type[DemoError]) -> None:
    plan = StandIn(state=tmp_path, has=1, simulator_status=status, outcomes=("registered",) * 9)
    with pytest.raises(error, match=f"simulator ended with status {status}"):
        run(plan, Story())


def test_silence_ends_the_demo_at_its_limit(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"did not end within 2 s[^$]*cycle ended"):
        run(StandIn(state=tmp_path, limit=2, outcomes=("registered",)), Story())


class Impatient(Relaying):
    """Somebody presses Ctrl-C when the first cycle is over."""

    def say(self, said: Iterable[Said]) -> None:
        lines = list(said)
        if any("registered" in line.text for line in lines):
            raise KeyboardInterrupt
        super().say(lines)


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    story = Story()
    with pytest.raises(KeyboardInterrupt):
        run(StandIn(state=tmp_path, outcomes=("registered",)), story, Impatient)
