"""A backup that is taken while the service runs, and a machine that is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumer.ledger.ledger import open_ledger
from retrainer.backup.contents import Contents
from retrainer.backup.restoring import numbers_to_skip
from retrainer.demo.plan import inherited
from schemas.cycle import CycleKind, Outcome
from schemas.features import FeatureGroup
from stores.features.local import LocalFeatureStore
from tests.contract.ledgers import P0, batch, begin, ended, take

RETRAINER = [sys.executable, "-m", "retrainer.cli"]


def called(state: Path, *arguments: str, ledger: str | None = None) -> subprocess.CompletedProcess[str]:
    settings = {"RETRAINER_STATE_DIR": str(state), **({"RETRAINER_LEDGER__URL": ledger} if ledger else {})}
    command = [*RETRAINER, *arguments]
    return subprocess.run(command, env=inherited(os.environ, settings), capture_output=True, text=True, check=False)


def with_a_past(url: str, state: Path) -> str:
    """A version, a pending user, a row in the feature store, files in the registry; gives the ledger's id."""
    with closing(open_ledger(url)) as ledger:
        fence = take(ledger)
        begin(ledger)
        ledger.intake.record(batch(P0, 0, ["a"]))
        first = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 101.0, fence=fence)
        ledger.cycles.settle(ended(first.cycle_id, Outcome.REGISTERED, 3), 102.0, fence=fence)
        ledger.intake.record(batch(P0, 1, ["b"]))
        known = ledger.ledger_id
    with closing(LocalFeatureStore(state / "feature_store.db", FeatureGroup())) as store:
        store.commit({"a": {"release_year_embedding": 1.0}})
    version = state / "registry" / "two_tower_recommender" / "3"
    version.mkdir(parents=True)
    (version / "manifest.json").write_text("{}")
    return known


@pytest.mark.full
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_lost_machine_is_restored(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    state, saved = tmp_path / "state", tmp_path / "saved"
    urls: list[str | None] = [None, None]
    if engine == "postgresql":
        urls = [request.getfixturevalue("postgresql").new_schema() for _ in range(2)]
    state.mkdir()
    known = with_a_past(urls[0] or f"sqlite:///{state / 'ledger.db'}", state)
    taken = called(state, "backup", str(saved), "--json", ledger=urls[0])
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout)["registry_versions"] == [3]
    assert sorted(path.name for path in saved.iterdir()) == [
        "backup.json",
        "feature_store.db",
        "ledger.db",
        "registry",
    ]
    assert "is there already" in called(state, "backup", str(saved), ledger=urls[0]).stderr
    shutil.rmtree(state)
    restored = called(state, "restore", str(saved), "--json", ledger=urls[1])
    assert restored.returncode == 0, restored.stderr
    told = json.loads(restored.stdout)
    assert (told["feature_store"], told["registry"], told["next_version"]) == (True, True, 5)
    with closing(open_ledger(urls[1] or f"sqlite:///{state / 'ledger.db'}", create=False)) as ledger:
        assert ledger.ledger_id == known
        assert ledger.views.history().champion == 3
        claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "again", 300.0, fence=take(ledger))
        assert claim.users == ("b",)
        assert claim.min_version_exclusive == 4
    with closing(LocalFeatureStore(state / "feature_store.db", FeatureGroup())) as store:
        assert store.count() == 1
    assert (state / "registry" / "two_tower_recommender" / "3" / "manifest.json").exists()
    again = called(state, "restore", str(saved), ledger=urls[1])
    assert again.returncode == 1
    assert "ledger" in again.stderr


@pytest.mark.full
def test_what_is_no_backup_is_refused_and_leaves_no_ledger(tmp_path: Path) -> None:
    state, saved = tmp_path / "state", tmp_path / "saved"
    saved.mkdir()
    assert "is no backup" in called(state, "restore", str(saved)).stderr
    later = Contents(
        taken_at=datetime.now(UTC),
        release="9.9",
        ledger_id="l",
        schema_version=999,
        rows={},
        feature_store=False,
        registry_versions=None,
        model_name="m",
    )
    (saved / "backup.json").write_text(later.model_dump_json())
    assert "use release 9.9, or a later one" in called(state, "restore", str(saved)).stderr
    assert not (state / "ledger.db").exists()


def test_numbers_are_skipped_for_the_time_since_the_backup() -> None:
    taken = datetime(2026, 1, 1, tzinfo=UTC)
    assert numbers_to_skip(7, taken, taken) == 8
    assert numbers_to_skip(7, taken, taken + timedelta(hours=2)) == 7 + 120 + 1
    assert numbers_to_skip(7, taken, taken - timedelta(hours=2)) == 8  # a clock that was set back
