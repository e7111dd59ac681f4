"""One look after the other on a real ledger: each onset and each end once, over restarts, beside a second instance, and
while the ledger refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from consumer.clock import Clock
from consumer.configuration.notifications import NotificationSettings
from consumer.ledger.efforts import Failed
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.outbox import tell
from consumer.ledger.views import Held
from consumer.ledger.watching.notifications import Channel, Notifications
from consumer.notifications.aloud import Aloud
from consumer.notifications.conditions import Limits
from consumer.notifications.facts import Facts, LedgerFacts
from consumer.notifications.followers import PATIENCE
from consumer.notifications.watch import Watch
from consumer.notifications.wording import Wording
from consumer.status import Status
from schemas.cycle import Outcome
from schemas.model_events import ModelEventFacts, ModelEventType
from schemas.watching.notifications import KINDS, Notification
from tests.unit.consumer.notifications.made import NOW, Way

BOTH = [Channel.WEBHOOK, Channel.CHAT]
WELL = LedgerFacts(champion=3)
HELD = Held("c7", "incremental", "of 600 users read 50 % were refused", "look at the rows", NOW, 1, None)
FAILED = Failed("c9", 3, "user u17 made it fail", NOW, 1)
STATUS = Status(pid=1, state="listening", written_at=NOW, polled_at=NOW, lag=0, hold="nothing is pending", cycle=None)
SETTLE, REPEAT = 60.0, 3600.0


class World:
    """A ledger, a clock, what is wrong, and the instances that watch."""

    def __init__(self, ledger: Ledger, **more: Any) -> None:
        self.ledger = ledger
        self.now = NOW
        self.facts = Facts(NOW, STATUS, ledger=WELL)
        self.ways = [Way(), Way(Channel.CHAT)]
        self.settings = NotificationSettings(settle=SETTLE, repeat=REPEAT, **more)
        self.watch = self.instance()

    def instance(self) -> Watch:
        clock = Clock(lambda: self.now, lambda: self.now)
        wording = Wording("here:/state", self.ledger.ledger_id, lambda: "https://page.example.com/")
        limits = Limits(90.0, 1000.0, 1)
        loud = Aloud(self.ways, PATIENCE, clock.elapsed, lambda: 0.0)
        return Watch(self.settings, limits, self.ledger.notifications, self, wording, BOTH, loud, clock)  # type: ignore[arg-type]

    def look(self) -> Facts:
        """As `Looking` has it."""
        return replace(self.facts, now=self.now)

    def begin(self) -> None:
        """As `Looking` has it."""

    def restart(self) -> None:
        self.watch = self.instance()

    def wait(self, seconds: float, every: float = 10.0) -> None:
        for _ in range(int(seconds / every)):
            self.now += every
            self.watch.turn()

    def happens(self, kind: ModelEventType, name: str, **more: Any) -> None:
        facts = ModelEventFacts(version=4, champion=4, promotion=4, cycle_id=name, reason="said so", **more)
        with self.ledger.engine.begin() as connection:
            tell(connection, name, kind, facts, self.now)

    def sent(self) -> list[Notification]:
        """What the channels got, each the same."""
        return [one for one in self._sent(Channel.WEBHOOK) if self._sent(Channel.CHAT) or one]

    def _sent(self, channel: Channel) -> list[Notification]:
        found = []
        while some := self.ledger.notifications.waiting(channel):
            found.append(some[0].notification)
            self.ledger.notifications.sent(channel, some[0].number)
        return found

    def told(self) -> list[tuple[str, str]]:
        return [(one.kind, one.phase.value) for one in self.sent()]


@contextmanager
def world_in(folder: Path, **more: Any) -> Iterator[World]:
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
        yield World(ledger, **more)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


def test_an_alert_is_told_once_and_once_more_when_it_is_over_whatever_restarts(world: World) -> None:
    world.wait(20)
    world.facts = replace(world.facts, ledger=replace(WELL, held=HELD))
    for _ in range(5):
        world.restart()
        world.wait(120)
    (told,) = world.sent()
    assert (told.kind, told.phase.value) == ("held", "begins")
    assert told.subject == "A cycle is held: of 600 users read 50 % were refused"
    assert (told.way_out, told.link) == ("look at the rows", "https://page.example.com/")
    assert told.since is not None
    assert told.since.timestamp() == NOW + 30
    world.facts = replace(world.facts, ledger=WELL)
    for _ in range(5):
        world.restart()
        world.wait(120)
    (over,) = world.sent()
    assert (over.kind, over.phase.value) == ("held", "over")
    assert "of 600 users read 50 % were refused" in over.subject
    assert world.ledger.notifications.alerts() == []


def test_two_instances_tell_each_thing_once(world: World) -> None:
    other = world.instance()
    world.facts = replace(world.facts, ledger=replace(WELL, held=HELD, failed=FAILED))
    world.happens(ModelEventType.PROMOTED, "p1")
    world.watch.turn()
    other.turn()
    world.happens(ModelEventType.PROMOTED, "p2")
    for _ in range(20):
        world.now += 10
        other.turn()
        world.watch.turn()
    assert sorted(world.told()) == [("failing", "begins"), ("held", "begins"), ("promotion", "happened")]


def test_what_lasts_is_told_again_after_a_while(world: World) -> None:
    world.facts = replace(world.facts, ledger=replace(WELL, held=HELD))
    world.wait(2 * REPEAT + 240, 60)
    assert world.told() == [("held", "begins"), ("held", "lasts"), ("held", "lasts")]


def test_no_message_names_a_user(world: World) -> None:
    world.facts = replace(world.facts, ledger=replace(WELL, failed=FAILED))
    world.wait(100)
    (told,) = world.sent()
    assert told.kind == "failing"
    assert "u17" not in told.model_dump_json()


def test_news_of_before_the_first_look_are_not_told_and_those_of_while_it_was_down_are(world: World) -> None:
    world.happens(ModelEventType.PROMOTED, "p1")
    world.wait(10)
    assert world.told() == []
    world.happens(ModelEventType.PROMOTED, "p2", previous=3)
    world.restart()
    world.wait(10)
    (told,) = world.sent()
    assert (told.subject, told.details) == ("Version 4 is champion", "Why: said so\nBefore it: version 3.")
    world.restart()
    world.wait(REPEAT, 600)
    assert world.told() == []


def test_a_rollback_says_who(world: World) -> None:
    world.wait(10)
    world.happens(ModelEventType.ROLLED_BACK, "p3", by="ada")
    world.wait(10)
    assert [one.subject for one in world.sent()] == ["Version 4 is champion again, after a rollback by order of ada"]


def test_refusals_in_a_row_are_gathered(world: World) -> None:
    world.wait(10)
    for at in range(6):
        world.happens(ModelEventType.REFUSED, f"c{at}", outcome=Outcome.REJECTED)
        world.wait(1000, 100)
        if at == 2:
            world.restart()
    first, digest = world.sent()
    assert first.subject == "No new version: cycle c0 was rejected; version 4 stays champion"
    assert digest.details.endswith("And 2 more refusals since the last message.")
    world.happens(ModelEventType.PROMOTED, "p9")
    world.wait(10)
    (promoted,) = world.sent()
    assert promoted.details.endswith("And 2 more refused challengers before it.")
    world.happens(ModelEventType.REFUSED, "c9", outcome=Outcome.INCONCLUSIVE)
    world.wait(10)
    assert world.told() == [("refusal", "happened")]


def test_beyond_a_number_an_hour_messages_wait_and_the_last_one_says_so(tmp_path: Path) -> None:
    with world_in(tmp_path, per_hour=2) as world:
        wrong = replace(WELL, held=HELD, failed=FAILED, open_letters=5, gaps=1)
        world.facts = replace(world.facts, ledger=wrong)
        world.wait(300, 30)
        first, last = world.sent()
        assert "more" not in first.details
        assert last.details.splitlines()[-1].startswith("And 2 more: so many messages an hour are enough")
        world.wait(3600, 300)
        assert len(world.sent()) == 2
        assert {one.name for one in world.ledger.notifications.alerts()} == {"held", "failing", "dead_letters", "gaps"}


def test_kinds_that_nobody_wants_any_more_leave_the_record_without_a_word(world: World) -> None:
    world.facts = replace(world.facts, ledger=replace(WELL, held=HELD, open_letters=5))
    world.wait(100)
    assert len(world.sent()) == 2
    world.settings = world.settings.model_copy(update={"events": ("dead_letters",)})
    world.restart()
    world.facts = replace(world.facts, ledger=WELL)
    world.wait(100)
    assert world.told() == [("dead_letters", "over")]
    assert world.ledger.notifications.alerts() == []


class Refusing:
    """A ledger that takes nothing while the block lasts, as on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    @contextmanager
    def __call__(self, *methods: str) -> Iterator[None]:
        def refuse(*_: object, **__: object) -> object:
            raise OperationalError("insert", None, Exception("database or disk is full"))

        with self._monkeypatch.context() as broken:
            for method in methods:
                broken.setattr(Notifications, method, refuse)
            yield


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    return Refusing(monkeypatch)


@pytest.mark.parametrize("methods", [("writing",), ("find", "writing")])
def test_trouble_is_told_while_the_ledger_refuses_once_and_its_end_by_the_ledger(
    world: World, refusing: Refusing, methods: Sequence[str]
) -> None:
    world.wait(20)
    with refusing(*methods):
        world.wait(600)
        for way in world.ways:
            (told,) = way.took
            assert (told.kind, told.phase.value) == ("trouble", "begins")
            assert "database or disk is full" in told.subject
        assert world.watch.works is True  # by its status; the watch alone was refused
    world.wait(30)
    assert [one.name for one in world.ledger.notifications.alerts()] == ["trouble"]
    assert world.told() == []  # both have heard it
    world.restart()
    world.wait(200)
    assert world.told() == [("trouble", "over")]
    assert [len(way.took) for way in world.ways] == [1, 1]


def test_a_short_refusal_is_not_told(world: World, refusing: Refusing) -> None:
    for _ in range(10):
        world.wait(60)
        with refusing("writing"):
            world.wait(40)
    assert [way.took for way in world.ways] == [[], []]
    assert world.told() == []


def test_what_else_is_wrong_is_told_when_the_ledger_is_back(world: World, refusing: Refusing) -> None:
    world.facts = replace(world.facts, ledger=None, ledger_error="server closed the connection")
    with refusing("find", "writing"):
        world.wait(600)
    world.facts = replace(world.facts, ledger=replace(WELL, held=HELD), ledger_error=None)
    world.wait(200)
    assert [way.took[0].kind for way in world.ways] == ["trouble", "trouble"]
    assert sorted(world.told()) == [("held", "begins"), ("trouble", "over")]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["held", "failing", "both", "well", "unknown", "promoted", "refused"]),
            st.integers(1, 8),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_over_any_story_there_is_no_storm_and_what_is_on_record_is_what_was_told(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, int, bool]]
) -> None:
    with world_in(tmp_path_factory.mktemp("story"), per_hour=6) as world:
        every: list[Notification] = []
        for number, (what, looks, restarts) in enumerate(story):
            held = HELD if what in {"held", "both"} else None
            failed = FAILED if what in {"failing", "both"} else None
            known = None if what == "unknown" else replace(WELL, held=held, failed=failed)
            world.facts = replace(world.facts, ledger=known)
            if what in {"promoted", "refused"}:
                kind = ModelEventType.PROMOTED if what == "promoted" else ModelEventType.REFUSED
                world.happens(kind, f"n{number}", outcome=Outcome.REJECTED)
            world.wait(looks * 30, 30)
            every += world.sent()
            if restarts:
                world.restart()
        assert len({one.id for one in every}) == len(every)
        for one in every:
            assert sum(0 <= (one.at - other.at).total_seconds() < 3600 for other in every) <= 6
        for name in ("held", "failing"):
            phases = [one.phase.value for one in every if one.kind == name and one.phase.value != "lasts"]
            assert phases == [["begins", "over"][at % 2] for at in range(len(phases))]
            on_record = any(alert.name == name for alert in world.ledger.notifications.alerts())
            assert on_record == (len(phases) % 2 == 1)


def test_every_kind_can_be_wanted_alone() -> None:
    for kind in KINDS:
        assert NotificationSettings(events=(kind,)).events == (kind,)
