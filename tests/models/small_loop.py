"""A ledger, a feature store and a registry in one folder, and real cycles on them, without a broker or a process."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

from consumer.cycles.cycle_request import cycle_request
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import open_ledger
from consumer.positions import Partition, Position
from consumer.settings import load_settings
from schemas.cycle import CycleKind, CycleResult
from schemas.events import Operation
from stores.features.local import LocalFeatureStore
from tests.contract.ledgers import take
from tests.integration.service import QUICK
from tests.worlds import GROUP, World, names
from trainer.run import run_cycle

_PARTITION = Partition("changes", 0)


class SmallLoop:
    """The loop without Kafka. `more` are settings, named without the prefix."""

    def __init__(self, folder: Path, template: Path | None = None, **more: str) -> None:
        if template is not None:
            shutil.copytree(template, folder, dirs_exist_ok=True)
        self.folder = folder
        self.variables = {
            f"RETRAINER_{name}": value for name, value in {**QUICK, "STATE_DIR": str(folder), **more}.items()
        }
        with mock.patch.dict(os.environ, self.variables):
            self.settings = load_settings()
        self.ledger = open_ledger(self.settings.ledger.url)
        self.fence = take(self.ledger)
        self.world = World(seed=len(more) + (template is not None))
        self.store = LocalFeatureStore(folder / "feature_store.db", GROUP)
        if template is None:
            self.ledger.intake.start_at({_PARTITION: 0}, time.time())

    def commit(self, upserts: Iterable[str] = (), deletes: Iterable[str] = ()) -> None:
        """Users change or go in the store, and their events are stored in the ledger."""
        upserts, deletes = list(upserts), list(deletes)
        self.store.commit(self.world.rows(upserts), deletes)
        self.record(upserts, deletes)

    def record(self, upserts: Iterable[str] = (), deletes: Iterable[str] = ()) -> None:
        """The events alone."""
        changed = [*((one, Operation.UPSERT) for one in upserts), *((one, Operation.DELETE) for one in deletes)]
        start = self.ledger.intake.positions(_PARTITION.topic)[_PARTITION]
        found = Batch(received_at=time.time())
        found.progress[_PARTITION] = (start, start + len(changed))
        found.events[_PARTITION] = len(changed)
        for at, (user, operation) in enumerate(changed, start):
            found.add(user, operation, str(Position(*_PARTITION, at)), time.time() - 0.5)
        self.ledger.intake.record(found)

    def cycle(self, kind: CycleKind = CycleKind.INCREMENTAL, reason: str = "enough users changed") -> CycleResult:
        """One cycle over what is pending, to its end in the ledger."""
        claim = self.ledger.cycles.claim(kind, reason, time.time(), fence=self.fence)
        request = cycle_request(self.settings, self.ledger, claim, fence=self.fence, now=time.time(), lookup_only=False)
        result = run_cycle(request, lambda _progress: None, lambda: False)
        assert result is not None
        self.ledger.cycles.settle(result, time.time(), fence=self.fence)
        return result

    def story(self) -> None:
        """A bootstrap, two waves, and a cycle that is held, as everybody is refused."""
        self.commit(names(300))
        self.cycle(CycleKind.BOOTSTRAP, "no version is registered yet")
        self.commit([*names(40), *names(5, start=300)], names(3, start=60))
        self.cycle()
        self.commit(names(30, start=100))
        self.cycle()

    def close(self) -> None:
        """Close the files."""
        self.store.close()
        self.ledger.close()
