"""Vectors are those of the towers on today's rows; changes alone give what a complete set gives."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from schemas.cycle import Outcome, TrainerSettings
from schemas.jobs.vectors import Tower, VectorsRequest, VectorStamp, current_set, stamp_of
from schemas.manifest import CANDIDATE_TOWER_FILE, QUERY_TOWER_FILE
from stores.feature_store import Floats
from stores.features.local import LocalFeatureStore
from stores.features.reading import read_all
from stores.registry.local import LocalModelRegistry
from stores.registry.opening import open_registry
from stores.vectors import blocks
from stores.vectors.blocks import VectorFile
from stores.vectors.numpy_file import NumpyFile
from stores.vectors.parquet import ParquetFile
from stores.vectors.reader import VectorSet, holds
from stores.vectors.sets import sets_in
from tests.worlds import GROUP, World, first_cycle, trainer_settings
from trainer.matrix.embeddings import UserMatrix
from trainer.run import run_cycle
from trainer.vectors import rows
from trainer.vectors.export import export, rows_for
from trainer.vectors.rows import SpaceMoved, SpaceRows, StoreRows
from trainer.workers import HERE

TOWERS = {Tower.QUERY: QUERY_TOWER_FILE, Tower.CANDIDATE: CANDIDATE_TOWER_FILE}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainerSettings:
    """Of a folder in which cycle c1 has registered version 1, of 400 users."""
    folder = tmp_path_factory.mktemp("vectors")
    settings = trainer_settings(folder)
    request = first_cycle(settings, folder)
    result = run_cycle(request, lambda _progress: None, lambda: False)
    assert result is not None
    assert result.outcome is Outcome.REGISTERED, result
    return settings


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, rows):
        monkeypatch.setattr(module, "BLOCK", 70)


def request_of(
    settings: TrainerSettings,
    out: Path,
    towers: Sequence[Tower] = tuple(Tower),
    as_of: str | None = "c1",
    *,
    changed_only: bool = False,
) -> VectorsRequest:
    return VectorsRequest(
        settings=settings,
        version=1,
        champion=1,
        as_of=as_of,
        out=out,
        towers=tuple(towers),
        changed_only=changed_only,
    )


def quiet(_done: int, _about: int | None) -> None:
    pass


def by_towers(settings: TrainerSettings) -> tuple[list[str], dict[Tower, Floats]]:
    """All users, by id, and their vectors, computed in the plainest way."""
    folder = open_registry(settings).fetch(1)
    with closing(LocalFeatureStore(settings.feature_store.path, GROUP)) as store:  # type: ignore[union-attr]
        found = read_all(store, GROUP, (), lambda _read: None)
    order = np.argsort(np.array(found.keys))
    raw = found.raw[order]
    loaded = {tower: keras.models.load_model(folder / file) for tower, file in TOWERS.items()}
    return sorted(found.keys), {tower: model.predict(raw, verbose=0) for tower, model in loaded.items()}


def all_of(file: VectorFile) -> tuple[list[str], dict[Tower, Floats]]:
    parts = list(file.blocks())
    towers = file.stamp.towers
    return (
        [user for part in parts for user in part.users],
        {tower: np.concatenate([part.vectors[tower] for part in parts]) for tower in towers},
    )


@pytest.mark.full
def test_a_set_holds_what_the_towers_say(settings: TrainerSettings, tmp_path: Path) -> None:
    stamp = export(request_of(settings, tmp_path / "out"), quiet)
    users, wanted = by_towers(settings)
    found = VectorSet.open(tmp_path / "out")
    assert found.users == users
    assert (stamp.users, stamp.computed, stamp.without_direction, stamp.removed) == (400, 400, 0, 0)
    np.testing.assert_allclose(found.queries, wanted[Tower.QUERY], atol=1e-6)
    np.testing.assert_allclose(found.candidates, wanted[Tower.CANDIDATE], atol=1e-6)
    assert found.stamp == stamp_of(current_set(tmp_path / "out")) == stamp
    nearest = found.nearest(found.query("u7"), 5)
    cosines = wanted[Tower.CANDIDATE] @ wanted[Tower.QUERY][users.index("u7")]
    assert nearest.users == [users[at] for at in np.argsort(-cosines)[:5]]
    assert nearest.meeting.same


@pytest.mark.full
@pytest.mark.parametrize("ending", [".parquet", ".npz"])
@pytest.mark.parametrize("towers", [(Tower.QUERY,), tuple(Tower)])
def test_a_file_holds_the_same(settings: TrainerSettings, tmp_path: Path, ending: str, towers: list[Tower]) -> None:
    out = tmp_path / f"some{ending}"
    stamp = export(request_of(settings, out, towers), quiet)
    users, wanted = by_towers(settings)
    with closing(ParquetFile(out) if ending == ".parquet" else NumpyFile(out)) as file:
        assert file.stamp == stamp
        found, vectors = all_of(file)
    assert found == users
    assert list(vectors) == list(towers)
    for tower in towers:
        np.testing.assert_allclose(vectors[tower], wanted[tower], atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    if ending == ".npz":
        with np.load(out) as plain:
            assert plain["user_id"].tolist() == users
            assert plain["query"].shape == (400, 128)
            assert json.loads(str(plain["stamp"]))["origin"]["version"] == 1


@pytest.mark.full
def test_space_and_feature_store_give_the_same_rows(settings: TrainerSettings, tmp_path: Path) -> None:
    registry = LocalModelRegistry(settings.model_registry.path, settings.model_name)  # type: ignore[union-attr]
    ours = rows_for(request_of(settings, tmp_path), registry)
    theirs = rows_for(request_of(settings, tmp_path, as_of="another"), registry)
    assert isinstance(ours, SpaceRows)
    assert isinstance(theirs, StoreRows)
    assert (ours.count(), theirs.count()) == (400, 400)
    for one, other in zip(ours.blocks(), theirs.blocks(), strict=True):
        assert one[0] == other[0]
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.full
@pytest.mark.parametrize(("known", "current"), [(400, False), (None, False), (400, True)])
def test_workers_are_told_how_long_it_takes(
    settings: TrainerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: int | None, current: bool
) -> None:
    """A store that does not count its users, as a cluster's, may have very many."""
    seconds: list[float] = []

    class Told:
        def each(self, work: Any, parts: Any, common: Any, takes: float) -> Any:
            seconds.append(takes)
            return HERE.each(work, parts, common, takes)

    monkeypatch.setattr("trainer.vectors.export.workers_of", lambda *_: nullcontext(Told()))
    monkeypatch.setattr(StoreRows, "count", lambda _self: known)
    request = request_of(settings, tmp_path / "set", as_of="another")
    export(request, quiet)
    if current:
        export(request_of(settings, tmp_path / "set", as_of="another", changed_only=True), quiet)
        assert seconds[-1] == 0.0
    elif known is None:
        assert seconds == [math.inf]
    else:
        assert 0.0 < seconds[0] < 1.0


def same(one: VectorSet, other: VectorSet) -> None:
    assert one.users == other.users
    for ours, theirs in ((one.queries, other.queries), (one.candidates, other.candidates)):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.full
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_changes_alone_give_what_a_complete_set_gives(settings: TrainerSettings, tmp_path: Path, seed: int) -> None:
    """Also with users who come, go, change, change back, and lose their direction; the rows are the store's."""
    folder = tmp_path / "moved"
    shutil.copytree(settings.work_dir.parent, folder)
    settings = trainer_settings(folder)
    draw, world = np.random.default_rng(seed), World(seed + 1)
    export(request_of(settings, tmp_path / "small", as_of=None), quiet)
    with closing(LocalFeatureStore(folder / "store.db", GROUP)) as store:
        for turn in range(4):
            some = [f"u{number}" for number in draw.choice(460, 25, replace=False)]
            rows = world.rows(some[:15])
            if turn % 2:
                rows[some[0]] = {name: np.zeros_like(block) for name, block in rows[some[0]].items()}
            store.commit(rows, deletes=some[15:] if turn != 2 else ())
            before = VectorSet.open(tmp_path / "small", ())
            stamp = export(request_of(settings, tmp_path / "small", as_of=None, changed_only=True), quiet)
            whole = export(request_of(settings, tmp_path / "whole", as_of=None), quiet)
            same(small := VectorSet.open(tmp_path / "small"), VectorSet.open(tmp_path / "whole"))
            assert stamp.computed <= 15 < whole.computed == whole.users == stamp.users
            assert stamp.made_from == before.folder.name
            assert stamp.removed == len(set(before.users) - set(small.users))
            assert len(sets_in(tmp_path / "small")) == (1 if stamp.removed else 2)
            assert not any(holds(tmp_path / "small", user) for user in set(before.users) - set(small.users))
            assert all(holds(tmp_path / "small", user) for user in small.users[::50])


@pytest.mark.full
@pytest.mark.parametrize("ending", [".parquet", ".npz"])
def test_changes_alone_in_a_file(settings: TrainerSettings, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"some{ending}"
    first = export(request_of(settings, out), quiet)
    again = export(request_of(settings, out, changed_only=True), quiet)
    assert (first.computed, again.computed, again.users, again.made_from) == (400, 0, 400, out.name)
    assert export(request_of(settings, out, [Tower.QUERY], changed_only=True), quiet).computed == 400


@pytest.mark.full
def test_dirty_rows_are_read_from_the_store(settings: TrainerSettings, tmp_path: Path) -> None:
    """A trainer is writing, or was killed while it wrote: what it has marked does not count."""
    folder = tmp_path / "moved"
    shutil.copytree(settings.work_dir.parent, folder)
    settings = trainer_settings(folder)
    space = next((folder / "work" / "spaces").iterdir())
    with closing(UserMatrix(space, GROUP.width)) as matrix:
        keys, rows = matrix.users()
        torn = rows[[3, 70, 71]]
        with matrix._db as db:
            db.executemany("INSERT INTO dirty VALUES (?)", [(int(row),) for row in torn])
        matrix.raw[torn] = 7.0
    with closing(LocalFeatureStore(folder / "store.db", GROUP)) as store:
        store.commit({}, deletes=[keys[71]])
    export(request_of(settings, tmp_path / "out"), quiet)
    users, wanted = by_towers(settings)
    found = VectorSet.open(tmp_path / "out")
    assert found.users == users == [key for key in keys if key != keys[71]]
    np.testing.assert_allclose(found.queries, wanted[Tower.QUERY], atol=1e-6)


@pytest.mark.full
def test_a_block_that_a_trainer_wrote_meanwhile_is_read_again(
    settings: TrainerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(settings.work_dir.parent, folder)
    settings = trainer_settings(folder)
    space = next((folder / "work" / "spaces").iterdir())
    source = rows_for(request_of(settings, tmp_path), open_registry(settings))
    assert isinstance(source, SpaceRows)
    with closing(UserMatrix(space, GROUP.width)) as matrix:
        keys, _ = matrix.users()
        row = matrix.rows_of(keys[:1])[keys[0]]
        new = (matrix.raw[[row]] + 1).copy()
        times: list[int] = []
        read = SpaceRows._rows

        def between(self: SpaceRows, numbers: Any) -> Floats:
            found = read(self, numbers)
            if not times:
                matrix.apply(keys[:1], new, lambda _raw: matrix.directions[[row]].copy(), ())
                matrix.clean()
            times.append(1)
            return found

        monkeypatch.setattr(SpaceRows, "_rows", between)
        users, raw = next(source.blocks())
    assert users[0] == keys[0]
    np.testing.assert_array_equal(raw[0], new[0])
    assert len(times) == 2


@pytest.mark.full
def test_a_space_that_is_made_again_is_an_error(settings: TrainerSettings, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(settings.work_dir.parent, folder)
    settings = trainer_settings(folder)
    space = next((folder / "work" / "spaces").iterdir())
    blocks = rows_for(request_of(settings, tmp_path), open_registry(settings)).blocks()
    next(blocks)
    shutil.rmtree(space)
    with pytest.raises(SpaceMoved, match="try again"):
        list(blocks)


def start(request: VectorsRequest) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer.vectors"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(request.model_dump_json() + "\n")
    process.stdin.flush()
    return process


@pytest.mark.full  # three processes that import TensorFlow
def test_the_process_answers_and_a_killed_one_changes_nothing(settings: TrainerSettings, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with start(request_of(settings, out)) as process:
        assert process.stdout is not None
        *progress, last = [json.loads(line) for line in process.stdout]
        assert process.wait() == 0
    assert progress[-1] == {"done": 400, "of": 400}
    assert stamp_of(current_set(out)) == VectorStamp.model_validate(last["stamp"])
    before = VectorSet.open(out)

    with start(request_of(settings, out)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    (out / ".partial-7").mkdir()  # what a kill at the worst moment leaves
    same(VectorSet.open(out), before)
    assert VectorSet.open(out).folder == before.folder
    assert export(request_of(settings, out, changed_only=True), quiet).computed == 0
    assert not list(out.glob(".partial*"))

    with start(request_of(settings, tmp_path / "gone", as_of="c1").model_copy(update={"version": 7})) as process:
        assert process.stdout is not None
        assert "has no version 7" in json.loads(process.stdout.readline())["error"]
        assert process.wait() == 1


def test_readers_never_see_half_a_switch(settings: TrainerSettings, tmp_path: Path) -> None:
    """Sets of two versions of the rows take turns, with removals; each reader has one of the two, whole."""
    out = tmp_path / "out"
    folder = tmp_path / "moved"
    shutil.copytree(settings.work_dir.parent, folder)
    settings = trainer_settings(folder)
    export(request_of(settings, out, as_of=None), quiet)
    stop, seen, failures = threading.Event(), set[str](), list[Exception]()

    def read() -> None:
        while not stop.is_set():
            try:
                found = VectorSet.open(out)
                assert found.stamp.users == len(found.users) == len(found.queries) == len(found.candidates)
                assert ("u3" in found.users) == (found.stamp.users == 400)
                holds(out, "u3")
                seen.add(found.folder.name)
            except Exception as error:  # noqa: BLE001  (shown below)
                failures.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    world = World(3)
    with closing(LocalFeatureStore(folder / "store.db", GROUP)) as store:
        for turn in range(8):
            store.commit({} if turn % 2 == 0 else world.rows(["u3"]), deletes=["u3"] if turn % 2 == 0 else ())
            export(request_of(settings, out, as_of=None, changed_only=True), quiet)
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(seen) > 2
