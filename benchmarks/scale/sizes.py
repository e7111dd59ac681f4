"""The rows of each size: a full cycle, the vectors of everybody, and a cycle in which 1 % of the users have changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import raw_listeners
from benchmarks.machine import cores
from benchmarks.rows import Row, Setup, told
from benchmarks.scale.watching import BEFORE, Step, watched
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
from schemas.jobs.vectors import VectorsRequest
from schemas.policies import FitPolicy
from stores.features.local import LocalFeatureStore

_CHECKOUT = Path(__file__).parents[2]
_MIB = 2**20
_EPOCHS = FitPolicy().full_epochs
_CALM = 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much of a size is measured.

    Attributes:
        users: how many there are.
        mined: share of the rows that the full cycle mines, each against all users.
        epochs: of the full cycle's fit, at most.
    """

    users: int
    mined: float = 1.0
    epochs: int = _EPOCHS


SIZES = (Size(100_000), Size(300_000), Size(1_000_000, mined=0.05, epochs=3))


def users_100000(setup: Setup) -> list[Row]:
    """With 100,000 users."""
    return _rows(setup, SIZES[0])


def users_300000(setup: Setup) -> list[Row]:
    """With 300,000 users."""
    return _rows(setup, SIZES[1])


def users_1000000(setup: Setup) -> list[Row]:
    """With a million users."""
    return _rows(setup, SIZES[2])


def _rows(setup: Setup, size: Size) -> list[Row]:
    users = setup.size(size.users, 2_000)
    changes, group = users // 100, FeatureGroup()
    settings = TrainerSettings(
        feature_group=group,
        feature_store=LocalStore(path=setup.folder / "store.db"),
        model_registry=LocalRegistry(path=setup.folder / "registry"),
        work_dir=setup.folder / "work",
        fit=FitPolicy(full_epochs=setup.size(size.epochs, 1)),
    )
    store = LocalFeatureStore(setup.folder / "store.db", group)
    for chunk in raw_listeners(users):
        store.commit(chunk)
    full, version = _cycle(setup, _request(settings, "full", CycleKind.BOOTSTRAP, [], None), size.mined)
    vectors = _vectors(setup, settings, version)
    ids = [f"listener-{at:06d}" for at in range(1, 1 + changes)]
    rows = [row for chunk in raw_listeners(changes, seed=1) for row in chunk.values()]
    store.commit(dict(zip(ids, rows, strict=True)))
    store.close()
    some, _ = _cycle(setup, _request(settings, "incremental", CycleKind.INCREMENTAL, ids, version), 1.0)
    lacking = {}
    if size.mined < 1:  # users without lists would take in everybody who is similar
        some.pop("pair", None)
        lacking["pair"] = f"not measured: the graph has lists of {size.mined:.0%} of the users"
    load = os.getloadavg()[0]
    busy = f"; the machine was busy: load {load:.0f} on {cores()} cores" if load > _CALM * cores() else ""
    name = f"scale.{size.users}"
    part = _part(size)
    return [
        *_told(f"{name}.full", full | {"vectors": vectors}, f"{users:,} users, from scratch", busy, part),
        *_told(
            f"{name}.incremental",
            some,
            f"{changes:,} of {users:,} users changed",
            busy,
            lacking,
        ),
        told(f"{name}.full.pair.share", size.mined, "of the rows", note="that were mined, each against all users"),
        told(f"{name}.full.fit.share", size.epochs / _EPOCHS, "of the epochs", note=f"{size.epochs} of {_EPOCHS}"),
        *_space(name, size, setup.folder / "work" / "spaces"),
    ]


def _space(name: str, size: Size, folder: Path) -> Iterator[Row]:
    """What a space takes on disk; nothing is told where it has a part of the lists."""
    if size.mined == 1:
        yield told(f"{name}.space", _size(folder) / _MIB, "MiB", note="on disk: matrix and pairs")


def _part(size: Size) -> dict[str, str]:
    """By step, what of it was left out."""
    found = {}
    if size.mined < 1:
        found["pair"] = f"{size.mined:.0%} of the rows, each against all users"
    if size.epochs < _EPOCHS:
        found["fit"] = f"{size.epochs} epochs instead of up to {_EPOCHS}"
    return found


def _told(name: str, steps: dict[str, Step], what: str, busy: str, part: dict[str, str]) -> Iterator[Row]:
    counted = {step: one for step, one in steps.items() if step != BEFORE}
    lacking = "".join(f"; {step}: {why}" for step, why in part.items())
    yield told(name, sum(one.seconds for one in counted.values()), "s", note=f"{what}, all steps{lacking}{busy}")
    for step, one in counted.items():
        why = f"only {part[step]}; " if step in part else ""
        beside = f"{one.resident / _MIB:,.0f} MiB with mapped files"
        yield told(f"{name}.{step}", one.seconds, "s", note=f"{why}{what}{busy}")
        yield told(f"{name}.{step}.memory", one.anonymous / _MIB, "MiB", note=f"{why}no file behind it; {beside}{busy}")


def _request(
    settings: TrainerSettings, cycle_id: str, kind: CycleKind, users: list[str], base: int | None
) -> CycleRequest:
    return CycleRequest(
        cycle_id=cycle_id,
        kind=kind,
        reason="make bench",
        base_version=base,
        baseline_version=base,
        users=tuple(users),
        lineage=Lineage(offsets={}, changed_users=len(users)),
        settings=settings,
    )


def _cycle(setup: Setup, request: CycleRequest, mined: float) -> tuple[dict[str, Step], int]:
    """The steps of a cycle in a process of its own, and the version that counts afterwards.

    Raises:
        RuntimeError: the cycle did not come to a good end.
    """
    folder = setup.folder / request.cycle_id
    folder.mkdir()
    path, errors = folder / "request.json", folder / "errors.txt"
    path.write_text(request.model_dump_json())
    ended = watched(["-m", "benchmarks.scale.trainer", str(path), str(mined)], _CHECKOUT, errors)
    if ended.code != 0:
        raise RuntimeError(f"the trainer ended with {ended.code}: {errors.read_text()[-2000:]}")
    result = CycleResult.model_validate_json((folder / "result.json").read_bytes())
    if result.outcome not in {Outcome.REGISTERED, Outcome.UNCHANGED}:
        raise RuntimeError(f"cycle {request.cycle_id} was {result.outcome}: {result.reason}")
    for step, seconds in result.seconds.items():
        ended.steps.setdefault(step, Step()).seconds = seconds
    return ended.steps, result.version or request.base_version or 0


def _vectors(setup: Setup, settings: TrainerSettings, version: int) -> Step:
    """The vectors of everybody, both towers, as a set for servers."""
    request = VectorsRequest(
        settings=settings, version=version, champion=version, as_of="full", out=setup.folder / "vectors"
    )
    errors = setup.folder / "vectors.txt"
    ended = watched(["-m", "trainer.vectors"], _CHECKOUT, errors, json.dumps(request.model_dump(mode="json")))
    if ended.code != 0:
        raise RuntimeError(f"the export of vectors ended with {ended.code}: {errors.read_text()[-2000:]}")
    return ended.steps[BEFORE]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
