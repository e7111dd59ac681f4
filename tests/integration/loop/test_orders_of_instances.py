"""Two services on one PostgreSQL obey a person's orders across kills and restarts, and so does the registry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from consumer.database.tables import offsets, promotions, versions
from consumer.positions import Partition
from schemas.log_events.cycles import NOT_MADE_CHAMPION
from schemas.log_events.event import LogEvent
from schemas.log_events.service import RUNNING_CYCLES, STANDING_BY
from tests.databases.postgresql import PostgreSQL
from tests.integration.loop.test_instances import Fleet, said
from tests.integration.service import ServiceProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.full


@pytest.fixture
def fleet(kafka_address: str, postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Fleet]:
    short = {"FIT__INCREMENTAL_EPOCHS": "3", "FIT__PATIENCE": "3"}
    made = Fleet(tmp_path, kafka_address, postgresql.new_schema(), **short)
    yield made
    made.close()


def champion(fleet: Fleet) -> int | None:
    return fleet.ledger.views.history().champion


def shown(fleet: Fleet) -> Any:
    """What the registry shows as champion."""
    (file,) = (fleet.a.folder.parent / "registry").glob("*/champion.json")
    return json.loads(file.read_text())


def ordered(instance: ServiceProcess, *order: str) -> None:
    ended = instance.call(*order, "--by", "ann@host")
    assert ended.returncode == 0, ended.stderr


def says(instance: ServiceProcess, event: LogEvent) -> None:
    """Until it is the last of the two that it said: it stands by, or it runs cycles."""

    either = {STANDING_BY, RUNNING_CYCLES}

    def has_said() -> bool:
        return [line["event"] for line in instance.log() if line["event"] in either][-1:] == [event]

    wait_until(has_said, 60, str(event))


def learn_a_wave(fleet: Fleet, count: int) -> None:
    """Until so many versions are registered, and their cycles are settled; one cycle claims the whole wave."""
    fleet.ledger.orders.pause(by="test", reason="a wave comes", now=time.time())
    fleet.wave()
    ends = {Partition(fleet.topic.name, number): end for number, end in fleet.topic.ends().items()}
    wait_until(lambda: fleet.ledger.intake.positions(fleet.topic.name) == ends, 60, "the wave to be stored")
    fleet.ledger.orders.resume(by="test", reason="it is there", now=time.time())
    fleet.wait_for_versions(count)
    wait_until(lambda: not fleet.ledger.cycles.is_any_running(), 60, "the cycle to be settled")
    assert fleet.ledger.views.backlog().untried == 0


def not_promoted(fleet: Fleet, version: int) -> str:
    with fleet.ledger.engine.begin() as connection:
        return str(connection.scalar(select(versions.c.not_promoted).where(versions.c.version == version)))


def test_promote_roll_back_hold_down_pin_and_promote_again_across_restarts_and_instances(fleet: Fleet) -> None:
    fleet.fill()
    fleet.a.start()
    says(fleet.a, RUNNING_CYCLES)
    fleet.b.start()
    says(fleet.b, STANDING_BY)
    fleet.wait_for_versions(1)
    wait_until(lambda: champion(fleet) == 1, 60, "the first champion")
    learn_a_wave(fleet, 2)
    wait_until(lambda: shown(fleet)["version"] == 2, 20, "the registry to show version 2")

    ordered(fleet.b, "rollback", "--reason", "complaints")  # by way of the one that runs no cycles
    assert (champion(fleet), shown(fleet)["version"], shown(fleet)["action"]) == (1, 1, "rollback")
    backlog = fleet.ledger.views.backlog()
    assert (backlog.users, backlog.untried) == (35, 0)
    fleet.a.kill()

    learn_a_wave(fleet, 3)  # b does, with the rolled back changes: held down
    assert champion(fleet) == 1
    assert "held down until" in not_promoted(fleet, 3)
    assert said(fleet.b, NOT_MADE_CHAMPION)()
    assert fleet.ledger.views.backlog().users == 70
    status = fleet.b.status()
    assert (status["champion"], status["hold_down"]["version"], status["hold_down"]["by"]) == (1, 2, "ann@host")
    ordered(fleet.b, "promote", "3", "--reason", "looked at")
    assert (champion(fleet), shown(fleet)["version"]) == (3, 3)
    assert fleet.ledger.views.backlog().users == 0

    ordered(fleet.b, "pin", "3", "--reason", "an audit")
    fleet.a.start()
    says(fleet.a, STANDING_BY)
    assert fleet.b.stop() == 0
    says(fleet.a, RUNNING_CYCLES)
    learn_a_wave(fleet, 4)  # a does, whose copy of the space has missed version 3
    assert champion(fleet) == 3
    assert "version 3 is pinned by ann@host" in not_promoted(fleet, 4)
    ordered(fleet.a, "promote", "4", "--reason", "the audit is over")
    ordered(fleet.a, "unpin")
    fleet.a.kill()

    fleet.b.start()
    says(fleet.b, RUNNING_CYCLES)
    learn_a_wave(fleet, 5)
    assert champion(fleet) == 5
    wait_until(lambda: shown(fleet)["version"] == 5, 20, "the registry to show version 5")

    with fleet.ledger.engine.begin() as connection:
        history = connection.execute(
            select(promotions.c.version, promotions.c.action, promotions.c.previous).order_by(promotions.c.number)
        ).all()
        ends = dict(connection.execute(select(offsets.c.partition, offsets.c.settled_offset)).tuples().all())
    assert [tuple(row) for row in history] == [
        (1, "cycle", None),
        (2, "cycle", 1),
        (1, "rollback", 2),
        (3, "promote", 1),
        (4, "promote", 3),
        (5, "cycle", 4),
    ]
    assert ends == fleet.topic.ends()
    assert fleet.ledger.views.backlog().users == 0
    assert fleet.ledger.views.miscounted() == []
    assert [found.version for found in fleet.registry.versions()] == [1, 2, 3, 4, 5]
