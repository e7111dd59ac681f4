"""Asking the champion about what is pending: by a real trainer, by one that dies, and by a service that acts on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consumer.cycles.prober import Prober
from consumer.cycles.supervisor import Supervisor
from consumer.cycles.trigger import Reason
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.state import ListenerState
from consumer.listener.status import ListenerStatus
from consumer.service import Service
from consumer.settings import Settings, load_settings
from retrainer.cli import app
from schemas.cycle import CycleKind
from stores.features.local import LocalFeatureStore
from tests.contract.ledgers import P0, batch
from tests.integration.stand_in import StandIn
from tests.leading import leading, settings_with_users
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_with_users(tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with closing(open_ledger(settings.ledger.url)) as opened:
        opened.intake.start_at({P0: 0}, 0.0)
        yield opened


def arrive(ledger: Ledger, users: list[str]) -> None:
    at = ledger.intake.positions("t")[P0]
    ledger.intake.record(batch(P0, at, users, time.time() - 1))


def idle(supervisor: Supervisor) -> bool:
    supervisor.tick(time.time())
    return not supervisor.busy


def ended(prober: Prober) -> bool:
    prober.tick(time.time())
    return not prober.busy


@pytest.mark.full
def test_a_real_trainer_answers_and_nothing_is_claimed(settings: Settings, ledger: Ledger) -> None:
    leadership = leading(ledger)
    supervisor = Supervisor(settings, ledger, leadership, lambda: None)
    prober = Prober(settings, ledger, leadership, supervisor.warm)
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())

    wait_until(lambda: idle(supervisor), 90, "the first version")
    with closing(LocalFeatureStore(settings.state_dir / "feature_store.db", GROUP)) as store:
        store.commit(World(seed=5).rows(names(40)))
    arrive(ledger, names(40))
    prober.begin()
    wait_until(lambda: ended(prober), 90, "the answer")
    found = ledger.probes.last()
    assert found is not None
    assert (found.version, found.changes) == (1, 40)
    assert found.regret is not None
    assert found.told.startswith("on what has changed since, version 1 has accuracy")
    assert ledger.views.backlog().untried == 40
    assert not (settings.work_dir / "probe").exists()


def test_a_trainer_that_dies_is_on_record_and_holds_nothing_up(
    tmp_path: Path, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer, leadership = StandIn(tmp_path), leading(ledger)
    trainer.will({"outcome": "registered", "version": 1}, None)
    supervisor = Supervisor(settings, ledger, leadership, lambda: None)
    supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    wait_until(lambda: idle(supervisor), 30, "the first version")
    prober = Prober(settings, ledger, leadership, supervisor.warm)
    prober.begin()
    wait_until(lambda: ended(prober), 30, "the trainer to die")
    found = ledger.probes.last()
    assert found is not None
    assert (found.version, found.regret, found.told) == (None, None, "a trainer that dies")


def test_a_service_asks_and_starts_a_cycle_on_regret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "STATE_DIR": str(tmp_path / "state"),
        "TRAINER__WARM": "false",
        "TRIGGER__QUIET_PERIOD": "0",
        "TRIGGER__MIN_INTERVAL": "0",
        "TRIGGER__REGRET": "0.05",
        "TRIGGER__PROBE_CHANGES": "3",
        "TRIGGER__PROBE_INTERVAL": "0",
    }.items():
        monkeypatch.setenv(f"RETRAINER_{name}", value)
    monkeypatch.chdir(tmp_path)
    trainer = StandIn(tmp_path)
    probe = {"version": 1, "users": 3, "labels": 0, "regret": 0.01, "summary": "0.01 lost"}
    asked = {"outcome": "probed", "probe": probe}
    lost = {"outcome": "probed", "probe": {**probe, "regret": 0.4, "summary": "0.4 lost"}}
    trainer.will({"outcome": "registered", "version": 1, "known_users": 1000}, asked, lost, {"outcome": "unchanged"})
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url)) as ledger:
        ledger.intake.start_at({P0: 0}, 0.0)
        arrive(ledger, ["a"])
        service = Service(settings, ledger)  # one that listens to nothing: the test makes its turns
        service._followers.clear()  # threads of their own, which log where the test reads
        service._listener.status = ListenerStatus(
            ListenerState.LISTENING, polled_at=time.time(), partitions=1, lag=0, caught_up=True
        )

        def turn_until(done: Callable[[], bool], what: str) -> None:
            wait_until(lambda: service._turned() and done(), 60, what)

        turn_until(lambda: ledger.views.history().champion == 1, "the first version")
        arrive(ledger, ["b", "c", "d"])
        turn_until(lambda: ledger.probes.last() is not None, "a probe")
        told = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
        assert told["probe"]["told"] == "0.01 lost"
        assert len(ledger.views.cycles()) == 1
        arrive(ledger, ["e", "f", "g"])
        turn_until(lambda: len([cycle for cycle in ledger.views.cycles() if cycle["ended_at"]]) == 2, "a cycle")
        service._supervisor.stop()
        cycle = ledger.views.cycles()[-1]
        assert cycle["reason"] == Reason.REGRET.value
        assert [request["only_probe"] for request in trainer.requests()] == [False, True, True, False]
        assert sorted(trainer.requests()[-1]["users"]) == ["b", "c", "d", "e", "f", "g"]


def test_what_a_threshold_starts_may_be_settled_without_a_fit_and_what_was_asked_for_may_not(
    tmp_path: Path, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = StandIn(tmp_path)
    trigger = settings.trigger.model_copy(update={"regret": 0.01, "settle_unchanged": True})
    supervisor = Supervisor(settings.model_copy(update={"trigger": trigger}), ledger, leading(ledger), lambda: None)

    def run(kind: CycleKind, reason: Reason) -> float | None:
        arrive(ledger, ["a"])
        supervisor.start(kind, reason.value, time.time())
        wait_until(lambda: idle(supervisor), 30, "the cycle to end")
        limit: float | None = trainer.requests()[-1]["settle_below"]
        return limit

    trainer.will({"outcome": "registered", "version": 1}, {"outcome": "unchanged"})
    assert run(CycleKind.BOOTSTRAP, Reason.BOOTSTRAP) is None
    for reason in (Reason.COUNT, Reason.LABEL_SHARE, Reason.STALENESS):
        assert run(CycleKind.INCREMENTAL, reason) == 0.01
    assert run(CycleKind.INCREMENTAL, Reason.OPERATOR) is None
    assert run(CycleKind.INCREMENTAL, Reason.REGRET) is None
    assert run(CycleKind.FULL, Reason.SCHEDULE) is None
