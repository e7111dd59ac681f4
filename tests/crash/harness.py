"""One run: changes flow, the service is started and killed by the plan, and at the end it may settle."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from consumer.ledger.engine import reading
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.tables import PENDING, changes, cycles, offsets, versions
from schemas.cycle import CycleKind
from schemas.fault_points import Point
from tests.crash.checker import Finding, check
from tests.crash.evidence import gather
from tests.crash.plan import Blow, Plan, Victim
from tests.crash.stream import Stream, read_journal
from tests.crash.victim import Service
from tests.integration.topics import Topic
from tests.waiting import wait_until

_REACHED_WITHIN = 45.0
_SETTLED_WITHIN = 180.0
_FULL_RETRAIN_EVERY = 12  # starts


@dataclass
class Tally:
    """What was done to it, and what came of it."""

    kills: Counter[tuple[str, Victim]] = field(default_factory=Counter)
    """By point, or "random", and by who was killed."""
    missed: Counter[Point] = field(default_factory=Counter)
    """Points that were not reached in time, though they were armed."""
    starts: int = 0
    cycles: Counter[str] = field(default_factory=Counter)
    """By outcome."""
    versions: int = 0
    events: int = 0
    garbage: int = 0
    users: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def fired(self) -> Counter[Point]:
        """How often each point was the end of a process."""
        fired: Counter[Point] = Counter()
        for (where, _), count in self.kills.items():
            if where != RANDOM:
                fired[Point(where)] += count
        return fired

    def found(self, kind: str) -> int:
        """How many findings of a kind there are."""
        return sum(finding.kind == kind for finding in self.findings)


RANDOM = "random"


class Run:
    """A run in a folder of its own.

    Args:
        folder: for state, feature store and journal.
        broker: address of an Apache Kafka.
        seed: of everything that is drawn.
        pythonpath: of the service, where it is not the tests' own.
        more: settings of the service, without their prefix.
    """

    def __init__(self, folder: Path, broker: str, seed: int, pythonpath: str | None = None, **more: str) -> None:
        self.tally = Tally()
        self._folder = folder
        self._topic = Topic.new(broker)
        self._journal = folder / "journal.jsonl"
        self._service = Service(folder, self._topic, pythonpath, **more)
        self._stream = Stream(self._topic, folder / "feature_store.db", self._journal, seed)
        self._ledger: Ledger | None = None

    def __enter__(self) -> Run:
        self._began = time.monotonic()
        self._stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream.is_alive():
            self._stream.stop()
        if not self._service.gone:
            self._service.kill_both()
        if self._ledger is not None:
            self._ledger.close()

    @property
    def kills(self) -> int:
        """How many SIGKILLs there were; two processes at one moment are one."""
        return self.tally.kills.total()

    def kill(self, plan: Plan, kills: int, tell: Callable[[Tally], None] = lambda _tally: None) -> None:
        """Start and kill until there were so many kills."""
        while self.kills < kills:
            blow = plan.next()
            if not self.strike(blow) and blow.point is not None and self.tally.missed[blow.point] < 3:
                plan.again(blow.point)
            self._look()
            tell(self.tally)

    def strike(self, blow: Blow) -> bool:
        """One start, and its end; False where the point was not reached."""
        self._stream.check()
        self._start(blow)
        self._service.watch(blow.after if blow.point is None else _REACHED_WITHIN)
        if blow.point is None:
            self._at_random(blow)
        elif not self._service.fired:
            assert not self._service.gone, f"the service ended by itself: {self._service.log()[-3:]}"
            self.tally.missed[blow.point] += 1
            self._end(RANDOM, trainers_too=True)
            return False
        else:
            self._at_point(blow, blow.point)
        return True

    def settle(self) -> None:
        """End the stream, let the service do what is left to do, and stop it."""
        self._stream.stop()
        self._start(Blow("consumer"))
        ends = Counter[int]()
        for one in read_journal(self._journal):
            ends[one.partition] = max(ends[one.partition], one.offset + 1)
        wait_until(lambda: self._settled(ends), _SETTLED_WITHIN, f"the service to settle; see {self._folder}")
        code = self._service.stop()
        told_early = -signal.SIGTERM  # before it had begun to listen for that
        assert code in (0, told_early), f"the service ended with {code} when it was told to stop"
        self._service.wait_for_orphans()

    def judge(self) -> Tally:
        """Count everything; the service has to be stopped."""
        evidence = gather(self._folder, self._topic, self._journal)
        tally = self.tally
        self._look()
        tally.garbage = sum(one.kind == "dead" for one in evidence.sent)
        tally.users = len({one.user for one in evidence.sent if one.user})
        tally.versions = len(evidence.versions)
        tally.findings = check(evidence)
        return tally

    def _start(self, blow: Blow) -> None:
        self.tally.starts += 1
        if self.tally.starts % _FULL_RETRAIN_EVERY == 0 and (ledger := self._opened()) is not None:
            ledger.asked.ask(CycleKind.FULL, "operator", time.time())
        self._service.start_armed(blow.point, blow.times)

    def _at_random(self, blow: Blow) -> None:
        assert not self._service.gone, f"the service ended by itself: {self._service.log()[-3:]}"
        if blow.victim == "trainer":
            wait_until(self._service.kill_trainers, _REACHED_WITHIN, "a trainer to be killed")
            self._count(RANDOM, "trainer")
            self._service.watch(blow.then)
        self._end(RANDOM, trainers_too=blow.victim == "both")

    def _at_point(self, blow: Blow, point: Point) -> None:
        if point.startswith("consumer."):
            self._count(point, "both" if self._killed(trainers_too=blow.victim == "both") else "consumer")
        elif blow.victim == "both":
            self._end(point, trainers_too=True)
        else:
            self._count(point, "trainer")
            self._service.wait(blow.then)
            self._end(RANDOM, trainers_too=False)

    def _end(self, where: str, *, trainers_too: bool) -> None:
        killed = self._killed(trainers_too=trainers_too)
        self._count(where, "both" if killed or where != RANDOM else "consumer")

    def _killed(self, *, trainers_too: bool) -> bool:
        """Kill the consumer; says whether a trainer was killed with it."""
        if trainers_too:
            return self._service.kill_both()
        self._service.kill_consumer()
        return False

    def _count(self, where: str, victim: Victim) -> None:
        self.tally.kills[where, victim] += 1

    def _opened(self) -> Ledger | None:
        file = self._folder / "ledger.db"
        if self._ledger is None and file.exists():
            self._ledger = open_ledger(f"sqlite:///{file}", create=False)
        return self._ledger

    def _settled(self, ends: Counter[int]) -> bool:
        assert not self._service.gone, f"the service ended by itself: {self._service.log()[-3:]}"
        ledger = self._opened()
        if ledger is None:
            return False
        with reading(ledger.engine) as connection:
            stands = {row.partition: row.next_offset for row in connection.execute(select(offsets))}
            untried = select(func.count()).where(changes.c.tried.is_(False) | (changes.c.cycle_id != PENDING))
            open_ones = connection.scalar(untried)
            running = connection.scalar(select(func.count()).where(cycles.c.state == "running"))
        return all(stands.get(number, 0) >= end for number, end in ends.items()) and not open_ones and not running

    def _look(self) -> None:
        """Bring the figures of the tally up to now."""
        self.tally.seconds = time.monotonic() - self._began
        self.tally.events = self._stream.sent
        if (ledger := self._opened()) is not None:
            with reading(ledger.engine) as connection:
                states = connection.scalars(select(cycles.c.state)).all()
                self.tally.versions = connection.scalar(select(func.count()).select_from(versions)) or 0
            self.tally.cycles = Counter(states)
