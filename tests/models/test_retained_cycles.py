"""Cycles of the real trainer while old versions leave the registry: they go on, and nothing grows on disk."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import stores.__main__
from consumer.cycles import pruner
from consumer.cycles.pruner import prune_some
from consumer.cycles.version_needs import Needs
from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind
from stores.registry.pruning import size_of
from tests.contract.ledgers import begin, take
from tests.models.test_cycle import Bench
from tests.models.test_reproduction import cycle, learning
from tests.worlds import names

KINDS = [CycleKind.BOOTSTRAP, *[CycleKind.INCREMENTAL] * 3, CycleKind.FULL, *[CycleKind.INCREMENTAL] * 7]


@pytest.mark.full
def test_a_dozen_cycles_follow_each_other_while_old_versions_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = learning(Bench(tmp_path))

    def in_this_process(_: Settings, question: str, detail: str) -> Any:
        answer = stores.__main__._answer(bench.settings, question, detail)
        return json.loads(json.dumps(next(iter(answer.values()))))

    monkeypatch.setattr(pruner, "ask_cluster", in_this_process)
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    sizes = []
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        fence = take(ledger)
        begin(ledger)
        for kind in KINDS:
            users = names(20)
            bench.store.commit(bench.world.rows(users))
            cycle(bench, ledger, fence, kind, users)
            prune_some(Settings(), ledger, 900.0, 1, Needs())
            there = bench.registry.versions()
            sizes.append(sum(size_of(found.manifest) for found in there))
            assert {found.version for found in there} == ledger.pruning.plan(1).stays.keys()
            assert len(list((bench.settings.work_dir / "spaces").iterdir())) <= 2
    one = sizes[0]
    print(f"a version has {one} bytes; after {len(KINDS)} cycles the registry has {sizes[-1]}: {sizes}")
    assert sizes[-1] < 0.75 * len(KINDS) * one
    assert 2 not in {found.version for found in bench.registry.versions()}, "nobody needs it"
