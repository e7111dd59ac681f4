"""The registry of a hundred cycles stays within its retention, and a death in the middle of deleting leaves nothing
half, nothing that is gone and not marked, and nothing for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import stores.__main__
from consumer.cluster import ClusterTrouble
from consumer.cycles import pruner
from consumer.cycles.pruner import Pruner, prune_some
from consumer.cycles.version_needs import Needs
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.settings import Settings, load_settings
from retrainer.cli.prune import prune, spans
from schemas.cycle import CycleKind, CycleResult, GateReport, LocalRegistry, Metrics, Outcome
from schemas.fault_points import POINT_VARIABLE, Point
from stores.registry.local import LocalModelRegistry
from tests.cli import command
from tests.contract.ledgers import P0, batch, begin, take
from tests.contract.test_model_registry import staged
from tests.waiting import wait_until

pytestmark = pytest.mark.full


class House:
    """A ledger and a registry, and cycles without a trainer: each registers a version of a few kilobytes."""

    def __init__(self, folder: Path, settings: Settings, ledger: Ledger) -> None:
        assert isinstance(settings.model_registry, LocalRegistry)
        self.settings = settings
        self.ledger = ledger
        self.folder = settings.model_registry.path / settings.model_name
        self.registry = LocalModelRegistry(settings.model_registry.path, settings.model_name)
        self._scratch = folder / "staged"
        self._scratch.mkdir()
        self._fence = take(ledger)
        self._cycles = 0
        begin(ledger)

    def cycles(self, count: int) -> None:
        """So many cycles, of which every tenth trains from scratch."""
        for _ in range(count):
            self.cycle()

    def cycle(self) -> None:
        self._cycles += 1
        number = self._cycles
        self.ledger.intake.record(batch(P0, number - 1, [f"u{number}"], now=100.0 + number))
        kind = CycleKind.FULL if number % 10 == 1 else CycleKind.INCREMENTAL
        claim = self.ledger.cycles.claim(kind, "in turn", 500.0 + number, fence=self._fence)
        place = staged(self._scratch, claim.cycle_id, content="w" * 5_000)
        version = self.registry.register(place, self._fence, claim.min_version_exclusive).version
        metrics = Metrics(accuracy=0.7, auc=None, recall_at_10=0.5, calibration_error=0.1)
        gate = GateReport(outcome="passed", reason="better", users=5, pairs=9, challenger=metrics)
        told: dict[str, Any] = {"outcome": Outcome.REGISTERED, "version": version, "gate": gate}
        result = CycleResult(cycle_id=claim.cycle_id, reason="so", base_version=claim.base_version, **told)
        assert self.ledger.cycles.settle(result, 501.0 + number, fence=self._fence)

    def there(self) -> list[int]:
        """The versions in the registry."""
        return [found.version for found in self.registry.versions()]

    def marked(self) -> set[int]:
        """The versions that the ledger calls deleted."""
        return {version["version"] for version in self.ledger.views.versions() if version["deleted_at"]}

    def size(self) -> int:
        """The bytes below the folder of the registry."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("RETRAINER_MODEL_REGISTRY__KEEP", "5")
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url)) as ledger:
        yield House(tmp_path, settings, ledger)


def in_this_process(settings: Settings, question: str, detail: str) -> Any:
    answer = stores.__main__._answer(settings.for_trainer(), question, detail)
    return json.loads(json.dumps(next(iter(answer.values()))))


MOST = 5 + 2 + 2
"""What may stay here: the newest, champions among them; two baselines; and two best since, among the newest, too."""


def test_the_registry_of_a_hundred_cycles_stays_within_its_retention(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner, "ask_cluster", in_this_process)
    sizes = []
    for _ in range(100):
        house.cycle()
        prune_some(house.settings, house.ledger, 900.0, 5, Needs())
        sizes.append(house.size())
        assert len(house.there()) <= MOST
    there = house.there()
    assert max(sizes[20:]) <= max(sizes[:20]), "the registry does not grow"
    assert house.size() < 0.15 * 100 * sizes[0]
    assert {91, 96, 97, 98, 99, 100} <= set(there), "the baseline and the newest"
    assert house.marked() == set(range(1, 101)) - set(there)
    assert house.registry.versions()[-1].version == house.ledger.views.history().champion == 100
    names = {path.name for path in house.folder.iterdir()}
    assert len(names) < 3 * MOST, f"nothing else piles up: {sorted(names)}"


def test_a_service_whose_registry_is_full_of_old_versions_deletes_them_in_portions(house: House) -> None:
    house.cycles(40)
    follower = Pruner(house.settings, house.ledger, Needs())
    follower.start()
    try:
        wait_until(lambda: len(house.there()) <= MOST, 30, "the old versions to go")
        house.cycles(3)
        wait_until(lambda: 43 - len(house.marked()) <= MOST, 30, "those after them to go, too")
    finally:
        follower.stop()
    assert {39, 40, 41, 42, 43} <= set(house.there())


@pytest.mark.parametrize("point", [Point.PRUNE_MARKED, Point.PRUNE_RENAMED, Point.PRUNE_DELETED])
def test_a_death_in_between_leaves_what_the_next_call_finishes(house: House, point: Point) -> None:
    house.cycles(20)
    goes = house.ledger.pruning.plan(5).goes
    killed = subprocess.run(
        [sys.executable, "-m", "retrainer.cli", "prune"],
        env={**os.environ, POINT_VARIABLE: point.value},
        capture_output=True,
        check=False,
    )
    assert killed.returncode != 0
    assert house.marked() == set(goes), "marked before anything is gone"
    assert set(range(1, 21)) - set(house.there()) <= house.marked(), "nothing is gone that is not marked"
    for version in house.there():  # whole, or not there
        LocalModelRegistry(house.folder.parent, house.settings.model_name).fetch(version)
    done = CliRunner().invoke(command(prune), ["--json"])
    assert done.exit_code == 0, done.output
    assert {one["version"] for one in json.loads(done.stdout)["deleted"]} == set(goes)
    assert set(house.there()) == set(range(1, 21)) - set(goes)
    assert not list(house.folder.glob(".outdated-*"))
    assert house.ledger.pruning.mark(5, 950.0).versions == {}


def test_the_command_says_what_goes_and_why_the_others_stay(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    house.cycles(20)
    before = house.there()
    shown = CliRunner().invoke(command(prune), ["--dry-run"])
    assert shown.exit_code == 0
    assert shown.stdout.endswith(
        "     11  0.0  the baseline\n"
        "      1  0.0  the baseline before, should a rollback withdraw the baseline\n"
        "would delete 13 versions, 0.1 MB: 2 to 10, 12 to 15\n"
    )
    assert house.there() == before
    done = CliRunner().invoke(command(prune), ["--keep", "18"])
    assert "deleted 1 version, 0.0 MB: 2\n" in done.stdout
    assert house.there() == [1, *before[2:]]


def test_a_version_that_somebody_reads_is_deleted_later(house: House) -> None:
    house.cycles(20)
    reader = LocalModelRegistry(house.folder.parent, house.settings.model_name)
    model = reader.fetch(2) / "two_tower_model.keras"
    done = CliRunner().invoke(command(prune), [])
    assert done.exit_code == 1
    assert "version 2 is marked as deleted and still there" in done.stderr
    assert model.exists()
    assert house.there()[1] == 2
    del reader
    assert CliRunner().invoke(command(prune), []).exit_code == 0
    assert 2 not in house.there()


def test_versions_of_another_ledger_stay(house: House) -> None:
    stranger = house.registry.register(staged(house._scratch, "c999999-of-others")).version
    house.cycles(19)
    found = json.loads(CliRunner().invoke(command(prune), ["--json"]).stdout)
    assert found["of_another_ledger"] == [stranger]
    assert stranger in house.there()


def test_a_registry_that_does_not_answer_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(*_: object) -> Any:
        raise ClusterTrouble("nobody there", again=True)

    house.cycles(20)
    monkeypatch.setattr(pruner, "ask_cluster", no_answer)
    with pytest.raises(ClusterTrouble):
        prune_some(house.settings, house.ledger, 900.0, 5, Needs())
    waiting = house.marked()
    assert waiting
    assert len(house.there()) == 20
    monkeypatch.setattr(pruner, "ask_cluster", in_this_process)
    assert set(prune_some(house.settings, house.ledger, 901.0, 5, Needs()).freed) == waiting


def test_spans_of_numbers() -> None:
    assert spans([7, 3, 2, 1, 9, 10]) == "1 to 3, 7, 9 to 10"
    assert spans([]) == ""
