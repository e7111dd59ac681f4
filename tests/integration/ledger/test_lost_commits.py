"""A PostgreSQL that goes away while cycles run: the service goes on without a restart, whatever was under way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from consumer.cycles.lifecycle.states import Training
from consumer.cycles.supervisor import Supervisor
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind
from tests.databases import postgresql as databases
from tests.databases.lossy import LossyWay
from tests.databases.postgresql import PostgreSQL
from tests.integration.service import Service
from tests.leading import leading, settings_with_users
from tests.waiting import wait_until

pytestmark = pytest.mark.full

CLAIM, SETTLE = "INSERT INTO cycles", "UPDATE cycles SET state"


@pytest.fixture
def way(postgresql: PostgreSQL) -> Iterator[LossyWay]:
    with closing(LossyWay(postgresql.new_schema())) as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_with_users(tmp_path)


@pytest.fixture
def ledger(way: LossyWay) -> Iterator[Ledger]:
    with closing(open_ledger(way.url)) as opened:
        yield opened


def idle(supervisor: Supervisor) -> bool:
    supervisor.tick(time.time())
    return not supervisor.busy


def permitted(supervisor: Supervisor) -> bool:
    supervisor.tick(time.time())
    return isinstance(supervisor.state, Training) and supervisor.state.tries.may_have_registered


def refused(supervisor: Supervisor) -> bool:
    try:
        supervisor.tick(time.time())
    except DBAPIError:
        return True
    return False


def test_a_service_goes_on_when_the_answers_to_claim_and_settle_are_lost(
    way: LossyWay, ledger: Ledger, tansu_address: str, tmp_path: Path
) -> None:
    """Nothing comes after the first users: who forgets the claim would wait for ever."""
    with closing(Service(tmp_path, tansu_address, LEDGER__URL=way.url)) as service:
        way.lose_commit_of(CLAIM)
        service.fill()
        service.start()
        wait_until(way.lost.is_set, 60, "the answer to the claim to be lost")
        service.wait_for_step("fit", 0)
        way.lose_commit_of(SETTLE)
        service.wait_for_cycles(1)
        assert way.lost.is_set()
        (cycle,) = ledger.views.cycles()
        assert cycle["state"] == "registered"
        assert [(found["version"], found["champion"]) for found in ledger.views.versions()] == [(1, True)]
        assert service.ended()[0]["outcome"] == "registered"
        assert not list((service.state_dir / "trainer" / "cycles").iterdir())
        assert service.stop() == 0


def test_a_cycle_goes_on_when_its_server_was_away_while_it_was_claimed_and_while_it_was_settled(
    settings: Settings,
) -> None:
    with databases.postgresql() as server, closing(open_ledger(server.url())) as ledger:
        supervisor = Supervisor(settings, ledger, leading(ledger), lambda: None)
        server.kill()
        with pytest.raises(DBAPIError):
            supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
        with pytest.raises(DBAPIError):
            supervisor.tick(time.time())
        server.start()
        assert idle(supervisor)
        supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
        wait_until(lambda: permitted(supervisor), 60, "the trainer to have its word")
        server.kill()
        wait_until(lambda: refused(supervisor), 60, "its result not to be settled")
        assert refused(supervisor)
        server.start()
        assert idle(supervisor)
        assert [cycle["state"] for cycle in ledger.views.cycles()] == ["registered"]
        assert [(found["version"], found["champion"]) for found in ledger.views.versions()] == [(1, True)]
        supervisor.stop()
