"""A whole incremental cycle against a full one, each in a waiting process as in production: store in, version out."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import islice

from benchmarks.data import raw_listeners
from benchmarks.rows import Row, Setup, faster
from benchmarks.timing import Times
from schemas.cycle import (
    CycleKind,
    CycleRequest,
    CycleResult,
    Lineage,
    LocalRegistry,
    LocalStore,
    Outcome,
    TrainerSettings,
)
from schemas.features import FeatureGroup
from stores.features.local import LocalFeatureStore

NAME = "cycle.incremental_vs_full"


def vs_full(setup: Setup) -> list[Row]:
    """1 % of 100,000 users changed; the full cycle is the first one, which has no champion to score beside its own."""
    users, rounds = setup.size(100_000, 2_000), setup.size(3, 1)
    changes = users // 100
    group = FeatureGroup()
    settings = TrainerSettings(
        feature_group=group,
        feature_store=LocalStore(path=setup.folder / "store.db"),
        model_registry=LocalRegistry(path=setup.folder / "registry"),
        work_dir=setup.folder / "work",
    )
    store = LocalFeatureStore(setup.folder / "store.db", group)
    for chunk in raw_listeners(users):
        store.commit(chunk)
    full, full_took = _cycle(setup, _request(settings, "full", CycleKind.BOOTSTRAP))
    base, taken, last = full.version, [], full
    for number in range(rounds):
        ids = [f"listener-{at:06d}" for at in range(1 + number * changes, 1 + (number + 1) * changes)]
        rows = [row for chunk in raw_listeners(changes, seed=1 + number) for row in chunk.values()]
        store.commit(dict(zip(ids, rows, strict=True)))
        last, took = _cycle(setup, _request(settings, f"change-{number}", CycleKind.INCREMENTAL, ids, base))
        base = last.version
        taken.append(took)
    store.close()
    note = f"{changes:,} of {users:,} generated listeners; {_steps(full)}; {_steps(last)}; median of {rounds}"
    return [faster(NAME, Times(tuple(taken)).median, "a full cycle", full_took, least=20, note=note)]


def _request(
    settings: TrainerSettings, cycle_id: str, kind: CycleKind, users: list[str] | None = None, base: int | None = None
) -> CycleRequest:
    changed = tuple(users or ())
    return CycleRequest(
        cycle_id=cycle_id,
        kind=kind,
        reason="make bench",
        base_version=base,
        baseline_version=1 if base else None,
        users=changed,
        lineage=Lineage(offsets={}, changed_users=len(changed)),
        settings=settings,
    )


def _cycle(setup: Setup, request: CycleRequest) -> tuple[CycleResult, float]:
    """Run a cycle in a fresh process; returns the result and the wall time from the request to the process's end.

    The process has been started ahead of time, as the service does it.

    Raises:
        RuntimeError: the cycle neither registered a version nor found that there was nothing to learn.
    """
    folder = setup.folder / request.cycle_id
    folder.mkdir()
    path = folder / "request.json"
    path.write_text(request.model_dump_json())
    pipe, errors = subprocess.PIPE, folder / "errors.txt"
    with errors.open("w") as log:
        trainer = subprocess.Popen([sys.executable, "-m", "trainer"], stdin=pipe, stdout=pipe, stderr=log, text=True)
        assert trainer.stdin is not None
        assert trainer.stdout is not None
        trainer.stdout.readline()  # ready
        start = time.perf_counter()
        trainer.stdin.write(f"{path}\npermit\n")  # what the service says when it is asked, said ahead
        trainer.stdin.flush()
        trainer.stdout.read()
        code = trainer.wait()
        took = time.perf_counter() - start
    if code != 0:
        raise RuntimeError(f"the trainer ended with {code}: {errors.read_text()[-2000:]}")
    result = CycleResult.model_validate_json((folder / "result.json").read_bytes())
    if result.outcome not in {Outcome.REGISTERED, Outcome.UNCHANGED}:
        raise RuntimeError(f"cycle {request.cycle_id} was {result.outcome}: {result.reason}")
    return result, took


def _steps(result: CycleResult) -> str:
    """Where the time went: the longest steps."""
    longest = sorted(result.seconds.items(), key=lambda step: -step[1])
    return f"{result.cycle_id}: " + " ".join(f"{step} {seconds:.1f} s" for step, seconds in islice(longest, 3))
