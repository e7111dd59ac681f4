"""A version trained again: the same on the same rows, elsewhere on others, and nothing is registered or changed."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from consumer.database.tables import versions
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.recorded import changed_since, recorded
from retrainer.cli.reproduce import reproduce as reproduce_command
from retrainer.reproduction.process import NotReproduced
from schemas.cycle import CycleKind, Outcome
from schemas.jobs.reproduction import Claimed, Reproduction, ReproductionRequest
from schemas.manifest import CLAIMED_FILE, MANIFEST_FILE, ModelManifest
from schemas.policies import SplitPolicy
from stores.registry.files import list_files, read_manifest
from tests.cli import command
from tests.contract.ledgers import P0, batch, begin, take
from tests.models.test_cycle import Bench
from tests.worlds import World, names
from trainer.claimed import read_claimed
from trainer.errors import ClaimUnknown, TrainerError
from trainer.reproduction.run import reproduce, scratch_of

pytestmark = pytest.mark.full

CHANGED = names(150)


def cycle(bench: Bench, ledger: Ledger, fence: int, kind: CycleKind, users: list[str]) -> None:
    """A cycle by the ledger, with a trainer of this process."""
    start = ledger.intake.positions("t")[P0]
    ledger.intake.record(batch(P0, start, users))
    claim = ledger.cycles.claim(kind, "in turn", 200.0, fence=fence)
    request = bench.request(claim.cycle_id, kind, list(claim.users), claim.base_version)
    result = bench.run(request.model_copy(update={"lineage": claim.lineage}))
    assert result.outcome is Outcome.REGISTERED, result
    ledger.cycles.settle(result, 300.0, fence=fence)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which version 1 is trained from scratch, and version 2 follows it with 150 users of another taste."""
    folder = tmp_path_factory.mktemp("followed")
    bench = learning(Bench(folder))
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
        fence = take(ledger)
        begin(ledger)
        cycle(bench, ledger, fence, CycleKind.BOOTSTRAP, ["u0"])
        bench.store.commit(World(seed=5).rows(CHANGED))
        cycle(bench, ledger, fence, CycleKind.INCREMENTAL, CHANGED)
    bench.store.close()
    return folder


@pytest.fixture
def bench(tmp_path: Path, template: Path) -> Bench:
    return learning(Bench(tmp_path, template))


def learning(bench: Bench) -> Bench:
    """Without dev users the last epoch is kept, whether it is better or not."""
    bench.settings = bench.settings.model_copy(update={"split": SplitPolicy(holdout_share=0.25, dev_share=0.0)})
    return bench


def again(bench: Bench, version: int, claimed: Claimed | None = None) -> Reproduction:
    request = ReproductionRequest(version=version, settings=bench.settings, claimed=claimed)
    return reproduce(request, bench.progress.append)


def altered(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Have the version tell something else of itself."""

    def other(folder: Path) -> ModelManifest:
        return read_manifest(folder).model_copy(update=changes)

    monkeypatch.setattr("trainer.reproduction.run.read_manifest", other)


def files(folder: Path) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in list_files(folder)}


def test_a_follower_that_has_learned_is_reproduced_to_the_bit_on_the_same_rows(bench: Bench) -> None:
    """Whatever path its space has come: incremental equals full (P3), and draws go by ids and seed."""
    before = files(bench.settings.work_dir / "spaces"), files(bench.registry_folder)
    found = again(bench, 2)
    assert found.recorded_fit.learned
    assert found.identical, found
    assert found.verdict == "reproduced exactly: all weights are the same, bit for bit"
    assert (found.agreement, found.query.weights, found.candidate.weights) == (1.0, 0.0, 0.0)
    assert found.original == found.again == found.recorded
    assert (files(bench.settings.work_dir / "spaces"), files(bench.registry_folder)) == before
    assert [one.version for one in bench.registry.versions()] == [1, 2]


def test_on_other_rows_the_distance_shows_and_is_told(bench: Bench) -> None:
    bench.store.commit(World(seed=9).rows(names(200, start=200)))
    bench.store.commit({}, ["u3"])
    found = again(bench, 1)
    assert not found.identical
    assert found.users == 399
    assert found.notes[0] == "399 users have a row and a direction now; 400 had a row then"
    assert found.query.weights > 0.01
    assert found.query.cosine < found.query.rotated < 0.9999
    assert found.agreement < 1.0
    assert "not all inputs are as they were" in found.verdict


def test_with_other_settings_the_distance_shows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, fit=bench.settings.fit.model_copy(update={"incremental_learning_rate": 0.01}))
    found = again(bench, 2)
    assert not found.identical
    assert found.query.weights > 1e-3
    assert found.recorded == found.original
    assert "not all inputs" not in found.verdict


def test_packages_of_another_version_are_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = read_manifest(bench.registry.fetch(2)).packages
    altered(monkeypatch, packages={**packages, "numpy": "1.0", "gone": "3.1"})
    assert again(bench, 2).packages == {"numpy": ("1.0", packages["numpy"]), "gone": ("3.1", "unknown")}


def test_a_version_tells_what_its_cycle_had_claimed(bench: Bench) -> None:
    folder = bench.registry.fetch(2)
    claimed = read_claimed(folder)
    assert claimed == Claimed(users=tuple(sorted(CHANGED)))
    assert (folder / CLAIMED_FILE).stat().st_size < 500
    assert CLAIMED_FILE in {entry.path for entry in read_manifest(folder).files}


def of_an_earlier_release(bench: Bench, version: int) -> None:
    """The version has no file that tells the claim."""
    folder = bench.registry_folder / bench.settings.model_name / str(version)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != CLAIMED_FILE]
    (folder / CLAIMED_FILE).unlink()
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))


def test_a_follower_of_an_earlier_release_has_to_be_told_its_claim(bench: Bench) -> None:
    of_an_earlier_release(bench, 1)
    of_an_earlier_release(bench, 2)
    with pytest.raises(ClaimUnknown, match="does not tell which users"):
        again(bench, 2)
    assert again(bench, 2, Claimed(users=tuple(CHANGED))).identical
    bench.store.commit(World().rows(names(400)))
    assert again(bench, 1).identical, "one from scratch needs no claim, only the rows of then"


def test_without_its_base_a_follower_cannot_be_trained_again(bench: Bench) -> None:
    cycle_id = bench.registry.versions()[0].manifest.cycle_id
    bench.registry.delete(1, cycle_id)
    with pytest.raises(
        TrainerError, match="version 2 cannot be trained again: version 1, the champion, cannot be read"
    ):
        again(bench, 2)


@pytest.fixture
def installed(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Settings by the environment; the ledger is that of the template."""
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("RETRAINER_FEATURE_STORE__PATH", str(tmp_path / "store.db"))
    monkeypatch.setenv("COLUMNS", "200")
    return bench


def test_the_command_trains_again_in_a_process_of_its_own(installed: Bench) -> None:
    installed.store.commit(installed.world.rows(["u399"]))
    shown = CliRunner().invoke(command(reproduce_command), ["2"])
    assert shown.exit_code == 0, shown.output
    told = " ".join(shown.stdout.split())
    assert "verdict reproduced" in told
    assert "rows today's: the store keeps no history; 0 users have changed since 1970-01-01T00:03:20+00:00" in told
    assert "packages as they were" in told
    assert "recall@10" in told
    assert not list(scratch_of(installed.settings).parent.glob("reproduction/spaces"))
    found = json.loads(CliRunner().invoke(command(reproduce_command), ["1", "--json"]).stdout)
    assert found["version"] == 1
    assert found["changed_since"] == {"users": 0, "labels": 0}


def test_the_command_says_what_is_missing(installed: Bench, tmp_path: Path) -> None:
    with pytest.raises(NotReproduced, match="the ledger knows no version 7"):
        CliRunner().invoke(command(reproduce_command), ["7"], catch_exceptions=False)
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger, ledger.engine.begin() as connection:
        connection.execute(update(versions).where(versions.c.version == 1).values(deleted_at=1e9))
    with pytest.raises(NotReproduced, match="version 1 was deleted from the registry at 2001"):
        CliRunner().invoke(command(reproduce_command), ["1"], catch_exceptions=False)
    with pytest.raises(NotReproduced, match="was trained from version 1, which was deleted"):
        CliRunner().invoke(command(reproduce_command), ["2"], catch_exceptions=False)


def test_users_that_have_changed_since_are_counted(installed: Bench, tmp_path: Path) -> None:
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        assert changed_since(ledger, 50.0).users == 150
        assert changed_since(ledger, 100.0).users == 0
        start = ledger.intake.positions("t")[P0]
        ledger.intake.record(batch(P0, start, ["u1", "nobody"], now=400.0))
        assert changed_since(ledger, 200.0) == (2, 0)
        assert changed_since(ledger, 50.0).users == 151
        found = recorded(ledger, 2)
        assert found is not None
        assert (found.kind, found.base_version, found.base_deleted) == (CycleKind.INCREMENTAL, 1, False)
