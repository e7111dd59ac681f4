"""What every model registry must do. An adapter joins by a fixture parameter."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import schemas
from schemas.manifest import MANIFEST_FILE, ModelManifest
from stores.errors import RegistryError, StaleFence, VersionInUse
from stores.model_registry import ModelRegistry
from stores.registry.files import list_files
from stores.registry.local import LocalModelRegistry

GOLDEN = ModelManifest.model_validate_json(
    (Path(schemas.__file__).parent / "golden" / "model_manifest.json").read_text()
)


Open = Callable[[], ModelRegistry]


def local(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    yield lambda: LocalModelRegistry(folder / "registry", "two_tower_recommender")


def hopsworks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    from tests.hopsworks_double.clients.registries import registry_at, running_double, without_pauses
    from tests.hopsworks_double.clients.session import session_of

    without_pauses(monkeypatch)
    with running_double(folder / "double") as double, session_of(double) as session:
        yield lambda: registry_at(session, folder / "cache")


@pytest.fixture(params=[local, hopsworks])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the same registry, as another process would."""
    yield from request.param(tmp_path, monkeypatch)


@pytest.fixture
def registry(opened: Open) -> ModelRegistry:
    return opened()


def staged(folder: Path, cycle_id: str, content: str = "weights") -> Path:
    """A folder as `trainer.package` makes it, with small files."""
    place = folder / f"staged-{cycle_id}-{len(list(folder.iterdir()))}"
    (place / "towers").mkdir(parents=True)
    (place / "two_tower_model.keras").write_text(content)
    (place / "towers" / "empty.txt").write_text("")
    manifest = GOLDEN.model_copy(update={"cycle_id": cycle_id, "files": list_files(place)})
    (place / MANIFEST_FILE).write_text(manifest.model_dump_json())
    return place


def test_versions_count_from_one_and_are_found_by_cycle(registry: ModelRegistry, tmp_path: Path) -> None:
    assert registry.versions() == []
    assert registry.find("c1") is None
    first = registry.register(staged(tmp_path, "c1"))
    second = registry.register(staged(tmp_path, "c2"))
    assert (first.version, second.version) == (1, 2)
    assert registry.find("c1") == first
    assert registry.find("c2") == second
    assert registry.versions() == [first, second]


def test_a_cycle_registers_one_version_however_often_it_tries(registry: ModelRegistry, tmp_path: Path) -> None:
    first = registry.register(staged(tmp_path, "c1"))
    again = registry.register(staged(tmp_path, "c1", content="other weights"))
    assert again.version == first.version
    assert len(registry.versions()) == 1
    assert (registry.fetch(1) / "two_tower_model.keras").read_text() == "weights"


def test_a_number_that_was_given_once_is_not_given_again(registry: ModelRegistry, tmp_path: Path) -> None:
    """The ledger knows of seven versions; of those only the first is still there."""
    registry.register(staged(tmp_path, "c1"))
    assert registry.register(staged(tmp_path, "c8"), 0, 7).version == 8
    assert registry.register(staged(tmp_path, "c8"), 0, 7).version == 8
    assert registry.register(staged(tmp_path, "c9"), 0, 8).version == 9
    assert [found.version for found in registry.versions()] == [1, 8, 9]


def test_another_process_sees_what_was_registered(opened: Open, tmp_path: Path) -> None:
    registered = opened().register(staged(tmp_path, "c1"))
    assert opened().find("c1") == registered
    assert (opened().fetch(registered.version) / "towers" / "empty.txt").read_text() == ""


def test_writers_at_the_same_time_get_versions_of_their_own(opened: Open, tmp_path: Path) -> None:
    folders = [staged(tmp_path, f"c{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda folder: opened().register(folder), [*folders, *folders]))
    assert sorted({one.version for one in found}) == list(range(1, 9))
    assert len({(one.version, one.manifest.cycle_id) for one in found}) == 8


def test_a_folder_that_is_not_what_its_manifest_says_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    changed = staged(tmp_path, "c1")
    (changed / "two_tower_model.keras").write_text("tampered")
    with pytest.raises(RegistryError, match="not the file that the manifest lists"):
        registry.register(changed)
    lacking = staged(tmp_path, "c2")
    (lacking / "two_tower_model.keras").unlink()
    with pytest.raises(RegistryError, match=r"lacks two_tower_model\.keras"):
        registry.register(lacking)
    bare = staged(tmp_path, "c3")
    (bare / MANIFEST_FILE).unlink()
    with pytest.raises(RegistryError, match=r"no manifest\.json"):
        registry.register(bare)
    assert registry.versions() == []


def test_a_folder_that_was_fetched_stays_whatever_else_is_fetched(registry: ModelRegistry, tmp_path: Path) -> None:
    folders = [registry.fetch(registry.register(staged(tmp_path, f"c{number}")).version) for number in range(7)]
    assert [(folder / "two_tower_model.keras").read_text() for folder in folders] == ["weights"] * 7


def test_a_version_that_is_not_there_is_named_with_those_that_are(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.register(staged(tmp_path, "c1"))
    with pytest.raises(RegistryError, match=r"no version 7; it has 1"):
        registry.fetch(7)


def test_whoever_enters_again_or_later_may_register(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.enter(5)
    assert registry.register(staged(tmp_path, "c1"), 5).version == 1
    registry.enter(5)
    registry.enter(9)
    assert registry.register(staged(tmp_path, "c2"), 9).version == 2


def test_a_deleted_version_is_gone_and_its_number_stays_taken(opened: Open, tmp_path: Path) -> None:
    registry = opened()
    for number in (1, 2, 3):
        registry.register(staged(tmp_path, f"c{number}"))
    registry.delete(1, "c1")
    registry.delete(3, "c3")
    for seen in (registry, opened()):
        assert [found.version for found in seen.versions()] == [2]
        assert seen.find("c1") is seen.find("c3") is None
        with pytest.raises(RegistryError, match="no version 3; it has 2"):
            seen.fetch(3)
    assert opened().register(staged(tmp_path, "c4")).version == 4, "also with a ledger that knows of no version"


def test_deleting_again_or_what_is_another_cycles_does_nothing(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.register(staged(tmp_path, "c1"))
    second = registry.register(staged(tmp_path, "c2"))
    registry.delete(1, "c1")
    registry.delete(1, "c1")
    registry.delete(2, "c1")
    registry.delete(7, "c7")
    assert registry.versions() == [second]


def test_whoever_enters_with_an_outdated_token_deletes_nothing(tmp_path: Path) -> None:
    """A cluster's registry has nothing to tell that by; there the ledger alone decides."""
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    first = registry.register(staged(tmp_path, "c1"))
    registry.enter(6)
    with pytest.raises(StaleFence):
        registry.delete(1, "c1", 5)
    assert registry.versions() == [first]
    registry.delete(1, "c1", 6)
    assert registry.versions() == []


def test_whoever_has_fetched_a_version_goes_on(opened: Open, tmp_path: Path) -> None:
    """From a folder the version goes once its last reader is gone; from a cluster at once, and the copy stays."""
    opened().register(staged(tmp_path, "c1"))
    reader, writer = opened(), opened()
    folder = reader.fetch(1)
    try:
        writer.delete(1, "c1")
    except VersionInUse:
        assert [found.version for found in writer.versions()] == [1]
    assert (folder / "two_tower_model.keras").read_text() == "weights"
    del reader
    gc.collect()
    writer.delete(1, "c1")
    assert writer.versions() == []


def test_a_writer_whose_token_is_outdated_is_refused(tmp_path: Path) -> None:
    """It was stalled, and another one runs cycles by now. A cluster's registry has nothing to tell that by."""
    stalled, successor = (LocalModelRegistry(tmp_path / "registry", "m") for _ in range(2))
    stalled.enter(5)
    successor.enter(6)
    with pytest.raises(StaleFence, match=r"token 6, ours is 5"):
        stalled.register(staged(tmp_path, "c1"), 5)
    with pytest.raises(StaleFence):
        stalled.enter(5)
    assert successor.versions() == []
    assert successor.register(staged(tmp_path, "c1"), 6).version == 1
