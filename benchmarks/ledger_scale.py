"""What is asked again and again of ledger and registry, when there is much in them: nothing of it may grow with them.

Processor time, not wall time: it is a matter of how much is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rows import Row, Setup, figure
from consumer.clock import Clock
from consumer.cycles.deciding import Deciding
from consumer.cycles.leadership import Leadership
from consumer.database.tables import cycles, promotions, versions
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.events import Operation
from schemas.manifest import MANIFEST_FILE
from schemas.policies import TriggerPolicy
from stores.registry.local import LocalModelRegistry

TURN, CLAIM, HISTORY, FIND = "ledger.turn", "ledger.claim", "ledger.history", "ledger.registry"
_A_BATCH = 50_000
_GOLDEN = Path(__file__).parent.parent / "schemas" / "golden" / "model_manifest.json"


def pending(setup: Setup) -> list[Row]:
    """A turn of the trigger, and a claim with its settling, of three million pending users."""
    users = setup.size(3_000_000, 20_000)
    ledger = open_ledger(f"sqlite:///{setup.folder / 'ledger.db'}")
    for start in range(0, users, _A_BATCH):
        batch = Batch(received_at=time.time())
        for number in range(start, min(users, start + _A_BATCH)):
            batch.add(f"listener-{number:09d}", Operation.UPSERT, f"t[0]@{number}", time.time())
        ledger.intake.record(batch)
    turn = 1000 * _least(lambda: _asked(ledger))
    leadership = Leadership(ledger.leases, "benchmark", 15.0)
    leadership.holds(time.time())
    began = time.thread_time()
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "measured", time.time(), fence=leadership.fence)
    claimed = time.thread_time() - began
    registered = CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="measured", base_version=None, version=1
    )
    began = time.thread_time()
    ledger.cycles.settle(registered, time.time(), fence=leadership.fence)
    settled = time.thread_time() - began
    swept = 1
    while ledger.cycles.sweep(time.time()):
        swept += 1
    if len(claim.users) != users or ledger.views.miscounted() or not ledger.views.backlog().empty:
        raise ValueError("the ledger has miscounted")
    ledger.close()
    told = f"{users:,} pending users"
    return [
        figure(TURN, turn, "ms", most=20, note=f"what the trigger asks in a turn; {told}"),
        figure(
            CLAIM,
            claimed,
            "s",
            most=10,
            note=f"{told} claimed and read; settled in {settled:.2f} s, taken away in {swept} transactions more",
        ),
    ]


def history(setup: Setup) -> list[Row]:
    """A turn of the trigger and what the commands show, after a year of cycles; a version by its cycle."""
    count, made = setup.size(20_000, 300), setup.size(10_000, 100)
    ledger = open_ledger(f"sqlite:///{setup.folder / 'ledger.db'}")
    with ledger.engine.begin() as connection:
        for number in range(1, count + 1):
            name, at = f"c{number:06d}", 300.0 * number
            result = CycleResult(
                cycle_id=name, outcome=Outcome.REGISTERED, reason="measured", base_version=number - 1, version=number
            )
            lineage = {"offsets": {"t": {"0": [number, number + 1]}}, "changed_users": 1}
            told = {"lineage": lineage, "result": result.model_dump(mode="json"), "reason": "measured"}
            row = {"kind": "incremental", "state": "registered", "attempts": 0, "settled": True, **told}
            connection.execute(cycles.insert().values(cycle_id=name, claimed_at=at, ended_at=at + 60, **row))
            connection.execute(versions.insert().values(version=number, cycle_id=name, registered_at=at + 60))
            connection.execute(promotions.insert().values(version=number, at=at + 60, reason="measured"))
    asked = 1000 * _least(lambda: (_asked(ledger), ledger.views.cycle(), ledger.views.versions(20)))
    ledger.close()
    found = 1000 * _find(setup.folder / "registry", made)
    return [
        figure(HISTORY, asked, "ms", most=50, note=f"a turn, a cycle and the 20 newest versions; {count:,} cycles"),
        figure(FIND, found, "ms", most=100, note=f"a cycle's version looked up in vain; {made:,} versions"),
    ]


def _asked(ledger: Ledger) -> object:
    return Deciding(TriggerPolicy(), ledger, Clock()).decide(busy=True, probing=False, caught_up=True)


def _find(root: Path, made: int) -> float:
    """Processor seconds of a look-up."""
    manifest = _GOLDEN.read_text()
    registry = LocalModelRegistry(root, "m")
    for number in range(1, made + 1):
        folder = root / "m" / str(number)
        folder.mkdir()
        (folder / MANIFEST_FILE).write_text(manifest)
    registry.enter(1)  # which notes what has no note yet
    return _least(lambda: registry.find("nobody-s"))


def _least(what: Callable[[], object], times: int = 5) -> float:
    """Processor seconds of one call, the least of several."""
    taken = []
    for _ in range(times):
        began = time.thread_time()
        what()
        taken.append(time.thread_time() - began)
    return min(taken)
