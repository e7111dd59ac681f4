"""A ledger and a registry of an earlier release are opened, their cycle goes on, and the next one follows."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from consumer.database.tables import SCHEMA_VERSION
from consumer.dead_letters.replay import replay_letters
from consumer.dead_letters.store import Which
from consumer.errors import OldLedger
from consumer.ledger.cycles import Claim
from consumer.ledger.ledger import Ledger, open_ledger
from schemas.cycle import CycleKind, CycleRequest, CycleResult, Outcome
from schemas.events import Change, Operation
from schemas.guard import GuardName
from schemas.manifest import MODEL_FILE
from stores.features.local import LocalFeatureStore
from stores.registry.local import LocalModelRegistry
from tests.contract.ledgers import take
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.model import load
from trainer.run import run_cycle

EARLIER = Path(__file__).parents[1] / "earlier"
FIRST, LEFT = "c000001-11fcc2f7", "c000002"


class Site:
    """A state folder of the earlier release, and the feature store as it is now."""

    def __init__(self, folder: Path) -> None:
        self.settings = trainer_settings(folder)
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        with closing(sqlite3.connect(folder / "ledger.db")) as database:
            database.executescript((EARLIER / "ledger.sql").read_text())
        with tarfile.open(EARLIER / "registry.tar.gz") as packed:
            packed.extractall(folder, filter="data")
        self.registry = LocalModelRegistry(folder / "registry", self.settings.model_name)
        world = World()
        self.store = LocalFeatureStore(folder / "store.db", GROUP)
        self.store.commit(world.rows(names(200)))
        self.store.commit(world.rows([*names(20), *names(10, start=100), "u150"]))

    def run(self, ledger: Ledger, claim: Claim, fence: int) -> CycleResult:
        """Run a claimed cycle as the supervisor has it run, and settle it."""
        request = CycleRequest(
            cycle_id=claim.cycle_id,
            kind=claim.kind,
            reason=claim.reason,
            base_version=claim.base_version,
            baseline_version=claim.baseline_version,
            best_since=claim.best_since,
            accept=claim.accept,
            users=claim.users,
            last_promoted_cycle=claim.last_promoted_cycle,
            fence=fence,
            min_version_exclusive=claim.min_version_exclusive,
            lineage=claim.lineage,
            settings=self.settings,
        )
        result = run_cycle(request, lambda _progress: None, lambda: False)
        assert result is not None
        assert ledger.cycles.settle(result, 2000.0, fence=fence), result
        return result


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()


def test_an_earlier_ledger_and_registry_are_continued_and_rolled_forward(site: Site) -> None:
    with pytest.raises(OldLedger, match=f"schema 6, this release needs {SCHEMA_VERSION}"):
        open_ledger(site.url, create=False)
    with closing(open_ledger(site.url)) as ledger:
        fence = take(ledger)
        assert fence > 1011  # the earlier release's: its writes are refused from now on
        left = ledger.cycles.running()
        assert left is not None
        assert (left.cycle_id[:7], left.kind, left.attempts) == (LEFT, CycleKind.INCREMENTAL, 1)
        assert (left.last_promoted_cycle, left.min_version_exclusive) == (FIRST, 1)
        assert left.users == tuple(sorted(names(20)))
        assert left.labels == (("u1", "u2"),)
        assert left.accept == (GuardName.LOST_SHARE,)

        second = site.run(ledger, left, fence)
        assert (second.outcome, second.version, second.base_version) == (Outcome.REGISTERED, 2, 1)
        assert second.fit is not None
        assert second.fit.warm_start

        (letter,) = ledger.letters.find(Which(stage="decode"), 9)
        (verdict,) = replay_letters(ledger.letters, [letter.id], lambda _: Change("u150", Operation.UPSERT), 2001.0)
        assert verdict.outcome == "pending"
        assert ledger.retrain_requests.open("schedule") is CycleKind.FULL
        assert ledger.retrain_requests.open("operator") is None
        claim = ledger.cycles.claim(CycleKind.FULL, "schedule", 2002.0, fence=fence)
        assert claim.users == tuple(sorted([*names(10, start=100), "u150"]))
        assert (claim.min_version_exclusive, claim.last_promoted_cycle) == (2, left.cycle_id)
        third = site.run(ledger, claim, fence)
        assert (third.outcome, third.version, third.base_version) == (Outcome.REGISTERED, 3, 2)
        assert ledger.retrain_requests.open("schedule") is None

    with closing(open_ledger(site.url, create=False)) as ledger:
        assert ledger.views.backlog().empty
        assert ledger.views.miscounted() == []
        told = ledger.views.versions()
        assert [(one["version"], one["kind"], one["champion"]) for one in told] == [
            (1, "bootstrap", False),
            (2, "incremental", False),
            (3, "full", True),
        ]
        # Every offset is covered once: what the earlier release read, what its cycle had claimed, and what came since.
        assert [one["offsets"]["changes"] for one in told] == [
            {"0": [0, 200]},
            {"0": [200, 224], "1": [0, 5]},
            {"0": [224, 234]},
        ]
        assert [one["changed_users"] for one in told] == [200, 20, 11]
        assert told[1]["replayed"] == {"changes": {"0": [[0, 5]]}}
        assert told[2]["replayed"] == {"changes": {"0": [[220, 221]]}}
        statuses = {letter.stage: letter.status for letter in ledger.letters.find(Which(None), 9) if letter.id != 2}
        assert statuses == {"decode": "replayed", "gap": "open"}
        assert ledger.letters.find(Which("discarded"), 9)[0].settled_reason == "a test of the producer"

    versions = site.registry.versions()
    assert (versions[0].version, versions[0].manifest.cycle_id) == (1, FIRST)
    assert [one.version for one in versions] == [1, 2, 3]
    rows = np.zeros((2, GROUP.width), dtype=np.float32)
    for one in versions:
        model = load(site.registry.fetch(one.version) / MODEL_FILE)
        assert np.isfinite(model.whole.predict([rows, rows], verbose=0)).all()
