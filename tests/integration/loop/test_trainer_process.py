"""The trainer process: warm from its start, one request long, and never an orphan."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from consumer.cycles.trainer_process import TrainerProcess, result_in
from schemas.cycle import CycleKind, CycleRequest, Lineage, Outcome, Progress, Step
from stores.features.local import LocalFeatureStore
from stores.registry.local import LocalModelRegistry
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.errors import TrainerError
from trainer.lock import only_trainer


def bootstrap(folder: Path, epochs: int = 8) -> CycleRequest:
    """A store of 400 users, and a request to bootstrap from it."""
    settings = trainer_settings(folder)
    store = LocalFeatureStore(folder / "store.db", GROUP)
    store.commit(World().rows(names(400)))
    store.close()
    fit = settings.fit.model_copy(update={"full_epochs": epochs, "patience": epochs})
    return CycleRequest(
        cycle_id="c1",
        kind=CycleKind.BOOTSTRAP,
        reason="the test says so",
        base_version=None,
        users=(),
        lineage=Lineage(offsets={}, changed_users=0),
        settings=settings.model_copy(update={"fit": fit}),
    )


def until_step(trainer: TrainerProcess, step: Step) -> list[Progress]:
    """What it reports until it has reached a step."""
    seen: list[Progress] = []

    def reached() -> bool:
        seen.extend(trainer.progress())
        assert trainer.exit_code() is None, trainer.last_words()
        return any(line.step is step for line in seen)

    wait_until(reached, 60, f"step {step}")
    return seen


def has_ended(trainer: TrainerProcess) -> bool:
    return trainer.exit_code() is not None


@pytest.mark.full
def test_it_waits_runs_one_request_asks_before_it_registers_and_ends(tmp_path: Path) -> None:
    spoke = threading.Event()
    trainer = TrainerProcess(spoke.set)
    trainer.give(tmp_path / "c1", bootstrap(tmp_path))
    told: list[Progress] = []

    def asked() -> bool:
        told.extend(trainer.progress())
        return told[-1:] != [] and told[-1].state == "asking"

    wait_until(asked, 60, "it to ask")
    registry = LocalModelRegistry(tmp_path / "registry", "two_tower_recommender")
    assert registry.versions() == []
    trainer.permit()
    wait_until(lambda: has_ended(trainer), 60, "it to end")
    assert trainer.exit_code() == 0
    assert spoke.is_set()
    told.extend(trainer.progress())
    assert [line.step for line in told if line.state == "done"] == list(Step)
    result = result_in(tmp_path / "c1")
    assert result is not None
    assert (result.outcome, result.version) == (Outcome.REGISTERED, 1)
    trainer.stop(1)


@pytest.mark.full
def test_told_to_stop_it_gives_up_between_two_epochs_and_leaves_no_result(tmp_path: Path) -> None:
    trainer = TrainerProcess(lambda: None)
    trainer.give(tmp_path / "c1", bootstrap(tmp_path, epochs=100_000))
    until_step(trainer, Step.FIT)
    trainer.stop(grace=20)
    assert trainer.exit_code() == 75
    assert result_in(tmp_path / "c1") is None


def test_one_that_only_waits_is_stopped_at_once() -> None:
    trainer = TrainerProcess(lambda: None)
    trainer.stop(grace=0)
    assert trainer.exit_code() == -9


@pytest.mark.full
def test_when_its_consumer_is_gone_it_ends_in_the_middle_of_a_cycle(tmp_path: Path) -> None:
    trainer = TrainerProcess(lambda: None)
    trainer.give(tmp_path / "c1", bootstrap(tmp_path, epochs=100_000))
    until_step(trainer, Step.FIT)
    assert trainer._process.stdin is not None
    trainer._process.stdin.close()  # what the kernel does for a process that was killed
    wait_until(lambda: has_ended(trainer), 20, "it to end")
    assert trainer.exit_code() == 75


@pytest.mark.full
def test_an_orphan_and_its_successor_do_not_work_at_the_same_time(tmp_path: Path) -> None:
    first, second = TrainerProcess(lambda: None), TrainerProcess(lambda: None)
    request = bootstrap(tmp_path, epochs=100_000)
    first.give(tmp_path / "c1", request)
    until_step(first, Step.FIT)
    second.give(tmp_path / "c2", request.model_copy(update={"cycle_id": "c2"}))
    wait_until(lambda: _holds_open(second.pid, "trainer.lock"), 60, "it to ask")
    assert second.progress() == []
    first.kill()
    until_step(second, Step.FIT)
    second.stop(grace=20)
    first.stop(grace=1)


def test_who_waits_in_vain_for_an_orphan_names_it(tmp_path: Path) -> None:
    """It may have been stopped, and then it does not even notice that its consumer is gone."""
    named = rf"process {os.getpid()}, holds .*trainer\.lock, and does not end"
    with only_trainer(tmp_path), pytest.raises(TrainerError, match=named):
        only_trainer(tmp_path, patience=0.2)
    only_trainer(tmp_path).close()


def _holds_open(pid: int, name: str) -> bool:
    return any(Path(file.path).name == name for file in psutil.Process(pid).open_files())


@pytest.mark.full
@pytest.mark.parametrize("content", ["{}", "no json"])
def test_by_hand_with_a_request_that_is_none_it_fails_and_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "request.json").write_text(content)
    ran = subprocess.run(
        [sys.executable, "-m", "trainer", str(tmp_path / "request.json")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "CycleRequest" in ran.stderr


@pytest.mark.full
def test_by_hand_it_takes_the_request_s_path(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(bootstrap(tmp_path).model_dump_json())
    ran = subprocess.run(
        [sys.executable, "-m", "trainer", str(tmp_path / "request.json")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert all(Progress.model_validate_json(line) for line in ran.stdout.splitlines())
    result = result_in(tmp_path)
    assert result is not None
    assert result.version == 1
