"""Each kind of notification fired once by breaking what it watches in a running service, and told once over restarts.

The receiver is a real one, on this machine; the service, its trainers and the broker are processes.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition
from standardwebhooks import Webhook

from consumer.status import read_status
from schemas.watching.notifications import KINDS, AlertName, News, Phase
from tests.brokers.apache_kafka import ApacheKafka
from tests.integration.service import Service
from tests.unit.consumer.sending.receiver import Receiver, receiving
from tests.waiting import wait_until
from tests.worlds import GROUP, names

pytestmark = pytest.mark.full

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
PATIENCE = 30.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def broker(kafka_can_run: None, tmp_path: Path) -> Iterator[ApacheKafka]:
    """A broker that the test may stop."""
    (tmp_path / "kafka").mkdir()
    made = ApacheKafka(tmp_path / "kafka")
    try:
        made.start()
        yield made
    finally:
        made.kill()


class Story:
    """A service whose notifications go to a receiver."""

    def __init__(self, folder: Path, broker: ApacheKafka, receiver: Receiver) -> None:
        folder.mkdir()
        self.broker = broker
        self.receiver = receiver
        self.base = {
            "NOTIFICATIONS__WEBHOOK": receiver.url,
            "NOTIFICATIONS__WEBHOOK_SECRET": SECRET,
            "NOTIFICATIONS__SETTLE": "1",
            "NOTIFICATIONS__EVENTS": ",".join(kind for kind in KINDS if kind != AlertName.STALLED),  # it often restarts
            "NOTIFICATIONS__PER_HOUR": "1000",
            "NOTIFICATIONS__LINK": "https://retrainer.example.com/",
            "TRAINER__ATTEMPTS": "1",
            "GUARD__MOVED_SHARE": "1",
            "PROMOTION__HOLD_DOWN": "0",
        }
        self.service = Service(folder, broker.address, **self.base)
        self.waves = 0
        self.expected: Counter[tuple[str, str]] = Counter()
        self._told: dict[str, dict[str, Any]] = {}
        self._looked_at = 0

    def told(self) -> list[dict[str, Any]]:
        """The messages that have come, each with a signature that holds when it is first looked at.

        One that comes again by its id is the same: a service that is killed sends what it had not yet noted as sent.
        """
        for headers, body in self.receiver.came[self._looked_at :]:
            self._looked_at += 1
            low = {name.lower(): text for name, text in headers.items()}
            self._told.setdefault(low["webhook-id"], Webhook(SECRET).verify(body, low))
        return list(self._told.values())

    def counted(self) -> Counter[tuple[str, str]]:
        return Counter((one["kind"], one["phase"]) for one in self.told())

    def expect(self, kind: str, phase: Phase) -> dict[str, Any]:
        """Wait for one more message, and for no other."""
        self.expected[kind, phase.value] += 1
        wanted = self.expected[kind, phase.value]
        what = f"message {wanted} of {kind} {phase}; see {self.service.folder / 'service.log'}"

        def came() -> bool:
            process = self.service.process
            assert process is None or process.poll() is None, "the service has ended"
            return self.counted()[kind, phase.value] >= wanted

        wait_until(came, PATIENCE, what)
        assert self.counted()[kind, phase.value] == wanted
        found = [one for one in self.told() if (one["kind"], one["phase"]) == (kind, phase.value)]
        return found[-1]

    def begins(self, name: AlertName) -> dict[str, Any]:
        return self.expect(name.value, Phase.BEGINS)

    def over(self, name: AlertName) -> dict[str, Any]:
        return self.expect(name.value, Phase.OVER)

    def news(self, kind: News) -> dict[str, Any]:
        return self.expect(kind.value, Phase.HAPPENED)

    def wave(self, *, spoiled: bool = False) -> None:
        """Thirty users change; spoiled, most of them have no numbers."""
        self.waves += 1
        rows = self.service.world.rows(names(30, start=10 * self.waves))
        if spoiled:
            column = GROUP.columns[0]
            for row in rows.values():
                row[column.name] = np.full(column.length, np.nan, np.float32)
        self.service.store.commit(rows)
        self.service.topic.relay(self.service.store)

    def restart(self, *, killed: bool = False, **more: str) -> None:
        """Stop it, or kill it, and start it with settings that hold until the next time."""
        if killed:
            self.service.kill()
        else:
            assert self.service.stop() == 0
        self.start(**more)

    def start(self, **more: str) -> None:
        self.service._settings.update(more)
        self.service.start()
        for name in more:
            del self.service._settings[name]
        self.service._settings.update(self.base)

    def order(self, *arguments: str) -> None:
        called = self.service.call(*arguments)
        assert called.returncode == 0, called.stderr


OF_CYCLES = {News.PROMOTION, News.REFUSAL, AlertName.NO_VERSION, AlertName.HELD, AlertName.FAILING}
OF_PARTS = {News.PROMOTION, AlertName.DEAD_LETTERS, AlertName.GAPS, AlertName.STALLED, AlertName.TROUBLE}
OF_THE_PROMISE = {News.PROMOTION, AlertName.FRESHNESS_BROKEN, AlertName.FRESHNESS_AT_RISK}


def test_what_becomes_of_cycles_is_told_once_and_once_when_it_is_mended(
    broker: ApacheKafka, tmp_path: Path, receiver: Receiver
) -> None:
    story = Story(tmp_path / "state", broker, receiver)
    with closing(story.service) as service:
        service.fill()
        story.start()
        first = story.news(News.PROMOTION)
        assert first["subject"] == "Version 1 is champion"
        assert first["link"] == "https://retrainer.example.com/"
        _a_refusal_and_no_version(story)
        _held_data(story)
        _trainers_that_fail(story)
        story.order("pause", "--reason", "to look at version 1")
        story.order("rollback", "1", "--reason", "it was better by hand", "--by", "ada")
        back = story.news(News.PROMOTION)
        assert back["subject"] == "Version 1 is champion again, after a rollback by order of ada"
        _nothing_else_was_told(story, OF_CYCLES)


def test_what_breaks_around_the_service_is_told_once_and_once_when_it_is_mended(
    broker: ApacheKafka, tmp_path: Path, receiver: Receiver
) -> None:
    story = Story(tmp_path / "state", broker, receiver)
    with closing(story.service) as service:
        service.fill()
        story.start()
        story.news(News.PROMOTION)
        _spoiled_events(story)
        _a_ledger_that_takes_nothing(story)
        _a_broker_that_is_gone(story)
        _lost_events(story)
        _nothing_else_was_told(story, OF_PARTS)


def test_a_promise_that_is_at_risk_and_then_broken_is_told_once_each_and_once_when_it_is_kept_again(
    broker: ApacheKafka, tmp_path: Path, receiver: Receiver
) -> None:
    """Somebody has paused cycles, and changes get old. What was at risk is broken then, and not over."""
    story = Story(tmp_path / "state", broker, receiver)
    with closing(story.service) as service:
        service.fill()
        story.start()
        story.news(News.PROMOTION)
        story.order("pause", "--reason", "for a while")
        story.restart(SLO__FRESHNESS="20s")
        story.wave()
        story.begins(AlertName.FRESHNESS_AT_RISK)
        broken = story.begins(AlertName.FRESHNESS_BROKEN)
        assert broken["subject"].startswith("The freshness promise is broken: ")
        story.order("resume")
        story.news(News.PROMOTION)
        story.over(AlertName.FRESHNESS_BROKEN)
        _nothing_else_was_told(story, OF_THE_PROMISE)


def test_each_kind_has_its_story() -> None:
    assert {*News, *AlertName} == OF_CYCLES | OF_PARTS | OF_THE_PROMISE


def _nothing_else_was_told(story: Story, kinds: set[StrEnum]) -> None:
    """Not even after the service was killed, and stopped."""
    for killed in (True, False):
        story.restart(killed=killed)
        service_runs(story)
    assert story.service.stop() == 0
    assert {kind for kind, _ in story.expected} == kinds
    assert story.counted() == story.expected
    again = len(story.receiver.came) - len({one["id"] for one in story.told()})
    assert again in (0, 1), "more came again than what was under way when the service was killed"
    text = json.dumps(story.told())
    assert not [user for user in names(600) if f'"{user}"' in text or f" {user} " in text]
    assert SECRET not in text


def service_runs(story: Story) -> None:
    """Until a new start has the lease and listens; what it would tell twice is told then, or on its way."""

    def runs() -> bool:
        status = read_status(story.service.state_dir / "status.json")
        process = story.service.process
        assert process is not None
        return status is not None and status.pid == process.pid and status.runs_cycles and status.caught_up

    wait_until(runs, PATIENCE, "it to listen and to hold the lease")


def _a_refusal_and_no_version(story: Story) -> None:
    """An exam that cannot tell: no version, and changes that wait for one."""
    story.restart(GATE__MIN_USERS="1500", NOTIFICATIONS__NO_VERSION_FOR="1", TRIGGER__QUIET_PERIOD="0.2")
    story.wave()
    refused = story.news(News.REFUSAL)
    assert "was inconclusive; version 1 stays champion" in refused["subject"]
    story.begins(AlertName.NO_VERSION)
    story.restart(killed=True)
    story.wave()
    assert story.news(News.PROMOTION)["subject"] == "Version 2 is champion"
    story.over(AlertName.NO_VERSION)


def _held_data(story: Story) -> None:
    story.wave(spoiled=True)
    held = story.begins(AlertName.HELD)
    assert "RETRAINER_GUARD__REFUSED_SHARE" in held["subject"]
    assert "retrainer train --accept REFUSED_SHARE" in held["way_out"]
    story.restart(killed=True)
    story.waves -= 1
    story.wave()
    story.news(News.PROMOTION)
    story.over(AlertName.HELD)


def _spoiled_events(story: Story) -> None:
    story.service.topic.send([(b"k", b"no event", ())] * 3)
    letters = story.begins(AlertName.DEAD_LETTERS)
    assert letters["subject"].endswith("open: records that cannot be understood")
    story.restart()
    story.order("dead-letters", "discard", "--all", "--yes", "--reason", "a test wrote them")
    story.over(AlertName.DEAD_LETTERS)


def _trainers_that_fail(story: Story) -> None:
    """Every trainer dies as soon as it begins."""
    story.restart(FAULT_POINT="trainer.entered")
    story.wave()
    failing = story.begins(AlertName.FAILING)
    assert "was given up after 1 attempt" in failing["subject"]
    story.restart()
    story.news(News.PROMOTION)
    story.over(AlertName.FAILING)


def _lost_events(story: Story) -> None:
    """The broker deletes what the service has not read yet."""
    service = story.service
    assert service.stop() == 0
    story.wave()
    admin = KafkaAdminClient(bootstrap_servers=story.broker.address)
    admin.delete_records({TopicPartition(service.topic.name, number): -1 for number in range(3)})
    admin.close()
    story.start()
    story.begins(AlertName.GAPS)
    story.begins(AlertName.DEAD_LETTERS)  # where the gap is, stands a letter
    # Partitions are found out about one after the other.
    wait_until(lambda: service.counted().open_letters == 3, PATIENCE, "a letter of each partition's gap")
    story.order("dead-letters", "discard", "--all", "--yes", "--reason", "nobody has them any more")
    story.over(AlertName.DEAD_LETTERS)
    story.order("train", "--full")
    story.news(News.PROMOTION)
    story.over(AlertName.GAPS)


def _a_broker_that_is_gone(story: Story) -> None:
    # Settled for longer than it takes to join the group after a start.
    story.restart(NOTIFICATIONS__EVENTS=",".join(KINDS), NOTIFICATIONS__SETTLE="15")
    service_runs(story)
    story.broker.stop()
    stalled = story.begins(AlertName.STALLED)
    assert stalled["subject"].startswith("The service cannot read its topic")
    story.broker.start()
    story.over(AlertName.STALLED)
    story.restart()
    service_runs(story)


def _a_ledger_that_takes_nothing(story: Story) -> None:
    """Somebody holds the lock of the file: this is told although nothing can be written into the ledger."""
    with closing(sqlite3.connect(story.service.state_dir / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        trouble = story.begins(AlertName.TROUBLE)
        assert "database is locked" in trouble["subject"]
        other.execute("ROLLBACK")
    story.over(AlertName.TROUBLE)
