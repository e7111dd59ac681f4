"""One run: users and labels flow, the service is started and killed by the plan, and at times may come to rest."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Select, func, select

from consumer.changes.kinds import KINDS, Kind
from consumer.changes.portions import waiting
from consumer.database.engine import reading
from consumer.database.tables import PENDING, cycles, offsets, promotions, versions
from consumer.ledger.ledger import Ledger, open_ledger
from schemas.cycle import CycleKind
from schemas.fault_points import Point
from tests.crash.checker import check
from tests.crash.evidence import gather
from tests.crash.plan import SPACE_POINTS, Blow, Plan, Victim
from tests.crash.stream import Stream, read_journal
from tests.crash.tally import Kill, Occasion, Tally
from tests.crash.topic import Place, Topics
from tests.crash.victim import Service
from tests.waiting import wait_until

_REACHED_WITHIN = 300.0
_SETTLED_WITHIN = 180.0
_REST_EVERY = 16  # kills


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
        self._topics = Topics.new(broker)
        self._journal = folder / "journal.jsonl"
        self._service = Service(folder, self._topics, pythonpath, **more)
        self._stream = Stream(self._topics, folder / "feature_store.db", self._journal, seed)
        self._ledger: Ledger | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Run:
        self._stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream.is_alive():
            self._stream.stop()
        if not self._service.gone:
            self._service.kill_both()
        if self._ledger is not None:
            self._ledger.close()

    def kill(self, plan: Plan, kills: int, tell: Callable[[Tally], None] = lambda _tally: None) -> None:
        """Start and kill until there were so many kills.

        Every `_REST_EVERY` kills it comes to rest, and only then a full retrain is asked for: it makes the space anew,
        so what kills have done to the old one is looked at before. Never near the end: cycles have to follow in it.
        """
        rest_at = _REST_EVERY
        while len(self.tally.kills) < kills:
            if rest_at <= len(self.tally.kills) <= kills - _REST_EVERY:
                self.rest()
                self.ask_full_retrain()
                rest_at = len(self.tally.kills) + _REST_EVERY
            self._carry_out(plan, plan.next())
            self._look()
            tell(self.tally)

    def strike(self, blow: Blow) -> bool:
        """One start, and its end; False where the point was not reached."""
        self._stream.check()
        if blow.follows and not self._next_follows():
            self._let_a_cycle_follow()
        self._start(blow)
        self._service.watch(blow.after if blow.point is None else _REACHED_WITHIN)
        if blow.point is not None and self._service.fired:
            self._at_point(blow, blow.point)
            return True
        self._must_run()
        if blow.point is None:
            self._at_random(blow)
            return True
        self.tally.missed[blow.point] += 1
        self._count("point_missed", "both" if self._service.kill_both() else "consumer")
        return False

    def rest(self) -> None:
        """Commit nothing, let the service do what is left to do, stop it, and count everything."""
        with self._stream.paused():
            self._start()
            ends = Counter[Place]()
            for one in read_journal(self._journal):
                ends[one.place] = max(ends[one.place], one.offset + 1)
            wait_until(lambda: self._settled(ends), _SETTLED_WITHIN, f"the service to settle; see {self._folder}")
            self._stop()
            self._count_everything()

    def ask_full_retrain(self) -> None:
        """As an operator does. Whatever cycle is claimed next is that."""
        ledger = self._opened()
        assert ledger is not None, "a full retrain of what was never started"
        ledger.retrain_requests.ask(CycleKind.FULL, "operator", time.time())

    def settle(self) -> Tally:
        """End the stream, come to rest, and say what came of it all."""
        self._stream.stop()
        self.rest()
        return self.tally

    def _carry_out(self, plan: Plan, blow: Blow) -> None:
        reached, point = self.strike(blow), blow.point
        if point is None:
            return
        if not reached:
            if self.tally.missed[point] < 3:
                plan.again(point, follows=blow.follows)
        elif point in SPACE_POINTS and not self.tally.fired_following[point]:
            plan.again(point, follows=True)

    def _start(self, blow: Blow | None = None) -> None:
        self.tally.starts += 1
        if blow is None:
            self._service.start_armed(None)
        else:
            self._service.start_armed(blow.point, blow.times, varied=not blow.follows)

    def _stop(self) -> None:
        code = self._service.stop()
        told_early = -signal.SIGTERM  # before it had begun to listen for that
        assert code in (0, told_early), f"the service ended with {code} when it was told to stop"
        self._service.wait_for_orphans()

    def _must_run(self) -> None:
        assert not self._service.gone, f"the service ended by itself: {self._service.log()[-3:]}"

    def _at_random(self, blow: Blow) -> None:
        if blow.victim == "trainer":
            wait_until(self._hit_at_work, _REACHED_WITHIN, "a trainer that runs a cycle to be killed")
            self._service.watch(blow.then)
            self._kill_consumer("after_trainer")
        elif blow.victim == "both":
            self._count("random", "both" if self._service.kill_both() else "consumer")
        else:
            self._kill_consumer("random")

    def _hit_at_work(self) -> bool:
        self._must_run()
        cycle = self._running_kind()
        hit = cycle is not None and self._service.kill_trainers()
        if hit:
            self.tally.kills.append(Kill("random", "trainer", cycle=cycle))
        return hit

    def _at_point(self, blow: Blow, point: Point) -> None:
        if blow.victim == "both":
            hit = self._service.kill_both() or point.startswith("trainer.")
            self._count("point", "both" if hit else "consumer", point)
        elif point.startswith("consumer."):
            self._service.kill_consumer()
            self._count("point", "consumer", point)
        else:
            self._count("point", "trainer", point)
            self._service.wait(blow.then)
            self._kill_consumer("after_trainer")

    def _kill_consumer(self, occasion: Occasion) -> None:
        self._service.kill_consumer()
        self._count(occasion, "consumer")

    def _count(self, occasion: Occasion, victim: Victim, point: Point | None = None) -> None:
        self.tally.kills.append(Kill(occasion, victim, point, self._running_kind()))

    def _opened(self) -> Ledger | None:
        file = self._folder / "ledger.db"
        if self._ledger is None and file.exists():
            self._ledger = open_ledger(f"sqlite:///{file}", create=False)
        return self._ledger

    def _running_kind(self) -> CycleKind | None:
        """The kind of the cycle that the ledger has as running."""
        ledger = self._opened()
        if ledger is None:
            return None
        with reading(ledger.engine) as connection:
            kind = connection.scalar(select(cycles.c.kind).where(cycles.c.state == "running"))
        return CycleKind(kind) if kind else None

    def _next_follows(self) -> bool:
        """Whether the cycle that runs, or else the next one, follows a champion."""
        ledger = self._opened()
        if ledger is None:
            return False
        with reading(ledger.engine) as connection:
            champions = connection.scalar(select(func.count()).select_from(promotions))
        running, asked = self._running_kind(), ledger.retrain_requests.open("operator")
        return bool(champions) and not (running and running.from_scratch) and not (asked and asked.from_scratch)

    def _let_a_cycle_follow(self) -> None:
        """Have the service end what it does from scratch."""
        self._start()
        wait_until(self._next_follows, _SETTLED_WITHIN, f"a champion to follow; see {self._folder}")
        self._stop()

    def _settled(self, ends: Counter[Place]) -> bool:
        self._must_run()
        ledger = self._opened()
        if ledger is None:
            return False
        with reading(ledger.engine) as connection:
            stands = {(row.topic, row.partition): row.next_offset for row in connection.execute(select(offsets))}
            open_ones = sum(connection.scalar(_untried(kind)) or 0 for kind in KINDS)
            running = connection.scalar(select(func.count()).where(cycles.c.state == "running"))
        return all(stands.get(place, 0) >= end for place, end in ends.items()) and not open_ones and not running

    def _count_everything(self) -> None:
        evidence = gather(self._folder, self._topics, self._journal)
        tally = self.tally
        tally.compared.append(evidence.followed)
        tally.findings += [finding for finding in check(evidence) if finding not in tally.findings]
        tally.garbage = sum(one.kind == "dead" for one in evidence.sent)
        tally.users = len({one.key for one in evidence.sent if one.kind == "user"})
        tally.labels = len({one.key for one in evidence.sent if one.kind == "label"})
        self._look()

    def _look(self) -> None:
        """Bring the other figures of the tally up to now."""
        self.tally.seconds = time.monotonic() - self._began
        self.tally.events = self._stream.sent
        if (ledger := self._opened()) is not None:
            with reading(ledger.engine) as connection:
                known = connection.execute(select(cycles.c.state, cycles.c.kind)).all()
                self.tally.versions = connection.scalar(select(func.count()).select_from(versions)) or 0
            self.tally.cycles = Counter(row.state for row in known)
            self.tally.kinds = Counter(row.kind for row in known)


def _untried(kind: Kind) -> Select[tuple[int]]:
    """How many of a kind are still to be claimed for the first time, or are claimed."""
    found = waiting(kind, kind.changes.c.tried).subquery()
    return select(func.count()).where(found.c.tried.is_(False) | (found.c.cycle_id != PENDING))
