"""The supervisor, with real trainers and a real ledger: whatever happens between two ticks, the cycle ends once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy.exc import OperationalError

from consumer.cycles.supervisor import Supervisor
from consumer.cycles.trainer_process import TrainerProcess
from consumer.errors import LeaseLost
from consumer.ledger.batch import Batch
from consumer.ledger.cycles import Cycles
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.settings import Settings, TrainerProcessSettings
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.events import Operation
from schemas.fault_points import POINT_VARIABLE, Point
from schemas.refused import USER
from stores.features.local import LocalFeatureStore
from stores.registry.local import LocalModelRegistry
from tests.contract.ledgers import ended
from tests.leading import leading, settings_with_users
from tests.waiting import wait_until
from tests.worlds import GROUP, Row, World


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_with_users(tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = open_ledger(settings.ledger.url)
    yield opened
    opened.close()


@pytest.fixture
def supervisor(settings: Settings, ledger: Ledger) -> Iterator[Supervisor]:
    made = Supervisor(settings, ledger, leading(ledger), lambda: None)
    yield made
    made.stop()


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """The ledger's write lock in somebody else's hands."""
    holder = sqlite3.connect(settings.state_dir / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def idle(supervisor: Supervisor) -> bool:
    supervisor.tick(time.time())
    return not supervisor.busy


@pytest.mark.full
def test_the_warm_trainer_is_the_one_that_runs_the_cycle(supervisor: Supervisor, ledger: Ledger) -> None:
    supervisor.warm_up()
    warm = supervisor.warm._trainer
    assert warm is not None
    supervisor.warm_up()
    assert supervisor.warm._trainer is warm
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    assert supervisor._trainer is warm
    wait_until(lambda: idle(supervisor), 60, "the cycle to end")
    assert [version["version"] for version in ledger.views.versions()] == [1]


@pytest.mark.full
def test_a_refused_user_stays_on_record_until_a_version_has_learned_the_row(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    sound = World(seed=7).row()
    bad: Row = {**sound, "taste": np.full(8, np.nan, np.float32)}

    def run(kind: CycleKind, rows: dict[str, Row], *told: str) -> list[str]:
        """Cycle over the users who were told of; whom the ledger holds as refused after it."""
        with closing(LocalFeatureStore(settings.state_dir / "feature_store.db", GROUP)) as store:
            store.commit(rows)
        batch = Batch(received_at=time.time())
        for user in told:
            batch.add(user, Operation.UPSERT, "t[0]@1", time.time())
        ledger.intake.record(batch)
        supervisor.start(kind, "the test says so", time.time())
        wait_until(lambda: idle(supervisor), 60, "the cycle to end")
        assert ledger.views.cycles()[-1]["settled"]
        assert ledger.views.backlog().empty
        return sorted(one.key for one in ledger.refusals.find(USER))

    assert run(CycleKind.BOOTSTRAP, {"u1": bad, "u2": bad, "u3": bad}) == ["u1", "u2", "u3"]
    assert run(CycleKind.INCREMENTAL, {"u1": sound, "u3": sound, "u4": bad}, "u1", "u4", "u9") == ["u2", "u3", "u4"]
    assert run(CycleKind.FULL, {}) == ["u2", "u4"]  # nobody had told of u3


@pytest.mark.full
def test_what_a_cycle_leaves_is_the_owner_s_alone_but_for_the_model(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    before = os.umask(0o022)
    try:
        supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
        wait_until(lambda: idle(supervisor), 60, "the cycle to end")
    finally:
        os.umask(before)
    assert [version["version"] for version in ledger.views.versions()] == [1]
    modes = {path: path.stat().st_mode & 0o777 for path in settings.work_dir.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    registry = settings.state_dir / "registry"
    modes = {path: path.stat().st_mode & 0o777 for path in (registry, *registry.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o644}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o755}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")
def test_a_trainer_is_given_no_secret_that_it_has_no_use_for(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RETRAINER_KAFKA__SASL_PASSWORD", "RETRAINER_LEDGER__PASSWORD", "HOPSWORKS_API_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("OF_THIS_SITE", "told")
    told = settings.model_copy(update={"trainer": TrainerProcessSettings(environment=("OF_THIS_SITE",))})
    supervisor = Supervisor(told, ledger, leading(ledger), lambda: None)
    supervisor.warm_up()
    assert supervisor.warm._trainer is not None
    given = Path(f"/proc/{supervisor.warm._trainer.pid}/environ").read_bytes().split(b"\0")
    supervisor.stop()
    assert not [pair for pair in given if b"hush-hush" in pair]
    assert b"OF_THIS_SITE=told" in given
    assert [pair for pair in given if pair.startswith(b"PATH=")]


def test_a_failure_whose_count_was_stored_and_not_answered_counts_once(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = settings.model_copy(update={"trainer": TrainerProcessSettings(warm=False, retry_wait=100.0)})
    supervisor = Supervisor(cold, ledger, leading(ledger), lambda: None)
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    assert supervisor._trainer is not None
    supervisor._trainer.kill()
    count, lost = Cycles.attempt, [True]

    def unanswered(cycles: Cycles, *arguments: Any, **named: Any) -> None:
        count(cycles, *arguments, **named)
        if lost.pop() if lost else False:
            raise OperationalError("UPDATE cycles", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(Cycles, "attempt", unanswered)
    with pytest.raises(OperationalError):
        supervisor.tick(time.time())
    supervisor.tick(time.time())
    told, claim = supervisor.view(time.time()), ledger.cycles.running()
    supervisor.stop()
    assert told is not None
    assert claim is not None
    assert (told["attempts"], claim.attempts) == (1, 1)


@pytest.mark.full
def test_a_result_that_was_left_unsettled_is_settled_without_training_again(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    """The consumer was killed after the trainer had ended and before it could settle."""
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    trainer = supervisor._trainer
    assert trainer is not None
    wait_until(lambda: any(line.state == "asking" for line in trainer.progress()), 60, "the trainer to ask")
    trainer.permit()
    wait_until(lambda: trainer.exit_code() == 0, 60, "the trainer to end")
    successor = Supervisor(settings, ledger, leading(ledger), lambda: None)
    assert successor.resume(time.time())
    assert not successor.busy
    assert [version["version"] for version in ledger.views.versions()] == [1]
    assert not successor.resume(time.time())


@pytest.mark.full
def test_a_trainer_that_asks_while_the_ledger_is_held_gets_its_word_afterwards(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    """It asks once, and would wait for ever."""
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())

    def refused() -> bool:
        try:
            supervisor.tick(time.time())
        except OperationalError:
            return True
        return False

    with held(settings):
        wait_until(refused, 60, "the trainer to ask")
    wait_until(lambda: idle(supervisor), 60, "the cycle to end")
    assert [version["version"] for version in ledger.views.versions()] == [1]


def test_a_result_of_the_same_cycle_from_before_another_instance_ran_it_counts_for_nothing(
    settings: Settings, ledger: Ledger
) -> None:
    """It may have registered a version meanwhile, which a rejection found here knows nothing of."""
    before = leading(ledger)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", time.time(), fence=before.fence)
    folder = settings.work_dir / "cycles" / claim.cycle_id
    folder.mkdir(parents=True)
    rejected = {"outcome": Outcome.REJECTED, "reason": "long ago", "base_version": None, "fence": before.fence}
    (folder / "result.json").write_text(CycleResult(cycle_id=claim.cycle_id, **rejected).model_dump_json())
    before.release(time.time())
    leading(ledger, "another").release(time.time())
    successor = Supervisor(settings, ledger, leading(ledger), lambda: None)
    assert successor.resume(time.time())
    assert successor.busy
    successor.stop()


def given_up(supervisor: Supervisor) -> bool:
    supervisor.tick(time.time())
    return supervisor.only_asks


@pytest.mark.full
def test_a_cycle_whose_trainers_all_die_after_they_registered_is_not_called_failed(
    supervisor: Supervisor, ledger: Ledger
) -> None:
    sound = supervisor.warm._environment
    supervisor.warm._environment = {**sound, POINT_VARIABLE: Point.ANSWERING}
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    wait_until(lambda: given_up(supervisor), 90, "its last trainer to die")
    supervisor.warm._environment = sound
    wait_until(lambda: idle(supervisor), 60, "the registry to be asked")
    assert [cycle["state"] for cycle in ledger.views.cycles()] == ["registered"]
    assert [version["version"] for version in ledger.views.versions()] == [1]


@pytest.mark.full
def test_a_cycle_that_died_while_it_registered_has_failed_when_the_registry_says_so(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POINT_VARIABLE, Point.REGISTER_COPIED)
    once = settings.model_copy(update={"trainer": TrainerProcessSettings(attempts=1)})
    supervisor = Supervisor(once, ledger, leading(ledger), lambda: None)
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    wait_until(lambda: idle(supervisor), 90, "the registry to be asked")
    (cycle,) = ledger.views.cycles()
    assert (cycle["state"], cycle["result"]["version"]) == ("failed", None)
    assert "ended with code -9" in cycle["result"]["reason"]


@pytest.mark.full
def test_a_trainer_that_asks_after_the_lease_is_lost_gets_no_word(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    assert ledger.leases.take("another", ledger.leases.current(), time.time()) is not None

    def lost() -> bool:
        try:
            supervisor.tick(time.time())
        except LeaseLost:
            return True
        return False

    wait_until(lost, 60, "the trainer to ask")
    supervisor.abandon()
    assert not supervisor.busy
    assert LocalModelRegistry(settings.state_dir / "registry", settings.model_name).versions() == []


@pytest.mark.full
def test_a_trainer_that_fails_while_the_ledger_is_held_is_not_forgotten(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    trainer = supervisor._trainer
    assert trainer is not None
    trainer.kill()
    with held(settings), pytest.raises(OperationalError):
        supervisor.tick(time.time())
    wait_until(lambda: idle(supervisor), 60, "the cycle to be tried again and to end")
    assert [version["version"] for version in ledger.views.versions()] == [1]


def test_a_last_failure_while_the_ledger_is_held_still_gives_the_users_back(settings: Settings, ledger: Ledger) -> None:
    once = settings.model_copy(update={"trainer": TrainerProcessSettings(attempts=1)})
    supervisor = Supervisor(once, ledger, leading(ledger), lambda: None)
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    assert supervisor._trainer is not None
    supervisor._trainer.kill()
    with held(settings), pytest.raises(OperationalError):
        supervisor.tick(time.time())
    wait_until(lambda: idle(supervisor), 10, "the failure to be settled")
    assert ledger.views.cycles()[0]["state"] == "failed"


@pytest.mark.full
def test_a_request_that_cannot_be_written_is_tried_again(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    settings.work_dir.mkdir(parents=True)
    (settings.work_dir / "cycles").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="cycles"):
        supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    (settings.work_dir / "cycles").unlink()
    wait_until(lambda: idle(supervisor), 60, "the cycle to be tried again and to end")
    assert [version["version"] for version in ledger.views.versions()] == [1]


def test_a_waiting_trainer_that_dies_is_replaced_but_not_at_once(supervisor: Supervisor) -> None:
    now = 1000.0
    supervisor.warm._clock = lambda: now
    supervisor.warm_up()
    assert supervisor.warm._trainer is not None
    supervisor.warm._trainer.kill()
    now = 1001.0
    supervisor.warm_up()
    now = 1002.0
    supervisor.warm_up()
    assert supervisor.warm._trainer is None
    now = 1020.0
    supervisor.warm_up()
    assert supervisor.warm._trainer is not None


def test_a_cycle_that_takes_too_long_is_ended_and_its_users_come_back(settings: Settings, ledger: Ledger) -> None:
    hurried = settings.model_copy(update={"trainer": TrainerProcessSettings(timeout=0.5, attempts=1)})
    supervisor = Supervisor(hurried, ledger, leading(ledger), lambda: None)
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    trainer = supervisor._trainer
    assert isinstance(trainer, TrainerProcess)
    wait_until(lambda: idle(supervisor), 20, "it to be ended")
    (cycle,) = ledger.views.cycles()
    assert cycle["state"] == "failed"
    assert cycle["result"]["reason"] == "took longer than 0.5 s"
    assert trainer.exit_code() == -9


def test_how_a_cycle_ended_is_decided_once_even_if_the_ledger_is_held_then(settings: Settings, ledger: Ledger) -> None:
    hurried = settings.model_copy(update={"trainer": TrainerProcessSettings(timeout=0.001, attempts=1)})
    supervisor = Supervisor(hurried, ledger, leading(ledger), lambda: None)
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    with held(settings), pytest.raises(OperationalError):
        supervisor.tick(time.time())
    assert idle(supervisor)
    assert ledger.views.cycles()[0]["result"]["reason"] == "took longer than 0.001 s"


@pytest.mark.full
def test_the_number_of_a_champion_that_was_deleted_is_not_given_again(
    supervisor: Supervisor, settings: Settings, ledger: Ledger
) -> None:
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    wait_until(lambda: idle(supervisor), 60, "the first cycle to end")
    shutil.rmtree(settings.state_dir / "registry" / settings.model_name / "1")
    supervisor.start(CycleKind.FULL, "its model is gone", time.time())
    wait_until(lambda: idle(supervisor), 60, "the second cycle to end")
    assert [(found["version"], found["champion"]) for found in ledger.views.versions()] == [(1, False), (2, True)]


def test_folders_of_cycles_that_have_ended_are_removed_at_the_next_start(settings: Settings, ledger: Ledger) -> None:
    """As where the process was killed right after it had settled."""
    leader = leading(ledger)
    claims = [ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 1.0, fence=leader.fence)]
    ledger.cycles.settle(ended(claims[0].cycle_id, Outcome.REJECTED), 2.0, fence=leader.fence)
    claims.append(ledger.cycles.claim(CycleKind.BOOTSTRAP, "again", 3.0, fence=leader.fence))
    folders = [settings.work_dir / "cycles" / claim.cycle_id for claim in claims]
    for folder in folders:
        (folder / "model").mkdir(parents=True)
    supervisor = Supervisor(settings, ledger, leader, lambda: None)
    assert supervisor.resume(4.0)
    assert [folder.exists() for folder in folders] == [False, True]
    supervisor.stop()
