"""What others, or a try before, left behind: repaired, taken back, or not touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.manifest import MANIFEST_FILE
from stores.errors import ClusterUnreachable, RegistryError, Unauthorized
from stores.hopsworks.session import Session
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from tests.contract.test_model_registry import staged
from tests.hopsworks_double import Action, Call, HopsworksDouble, LoseReply, Status
from tests.hopsworks_double.clients.registries import (
    MODEL,
    NOT_FOUND,
    SETTINGS,
    Open,
    broken,
    fail,
    folders,
    put_entry,
    put_upload,
    registry_at,
    requests_of,
    whole,
)


@pytest.mark.parametrize("lost", ["folder", "manifest", "a file", "the end of a file"])
def test_an_entry_whose_files_are_lost_counts_for_nothing_and_is_made_again(
    double: HopsworksDouble,
    registry: HopsworksModelRegistry,
    another: Open,
    tmp_path: Path,
    lost: str,
) -> None:
    registry.register(staged(tmp_path, "c0"))
    registry.register(staged(tmp_path, "c1"))
    files = f"{double.registry.folder(MODEL, 2)}/Files"
    if lost == "folder":
        double.registry.remove_folder(MODEL, 2)
    elif lost == "manifest":
        del double.registry.files[f"{files}/{MANIFEST_FILE}"]
    elif lost == "a file":
        del double.registry.files[f"{files}/towers/empty.txt"]
    else:
        double.registry.files[f"{files}/two_tower_model.keras"] = b"weigh"
    for opened in (registry, another()):
        assert [found.version for found in opened.versions()] == [1]
        assert opened.find("c1") is None
        with pytest.raises(RegistryError, match=r"no version 2; it has 1"):
            opened.fetch(2)
    found = registry.register(staged(tmp_path, "c1"))
    assert found.version != 1
    assert whole(double) == {1: "c0", found.version: "c1"}
    assert not broken(double)


@pytest.mark.parametrize("do", [Status(500, 120000), LoseReply()], ids=["500", "reply lost"])
@pytest.mark.parametrize("where", [f"^POST .*/{MODEL}/1\\?.*create", "^DELETE .*/models/"], ids=["mkdir", "delete"])
def test_a_repair_may_fail_half_way(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path, where: str, do: Action
) -> None:
    registry.register(staged(tmp_path, "c1"))
    double.registry.remove_folder(MODEL, 1)
    fault = fail(double, where, do)
    found = registry.register(staged(tmp_path, "c1"))
    assert fault.hits == 1
    assert whole(double) == {found.version: "c1"}
    assert not broken(double)


def test_a_number_that_is_somebody_elses_by_now_is_not_deleted(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    """The deletion is done and its answer lost; before the next try another writer has taken the number."""
    registry.register(staged(tmp_path, "c1"))
    double.registry.remove_folder(MODEL, 1)
    other = staged(tmp_path, "c9")
    fail(double, "^DELETE .*/models/", LoseReply())
    fail(
        double,
        f"^GET .*/models/{MODEL}_1\\?",
        Call(lambda: put_upload(double, 1, other, description="Retrainer cycle c9: full, by another")),
        skip=1,
    )
    assert registry.register(staged(tmp_path, "c1")).version == 2
    assert whole(double) == {1: "c9", 2: "c1"}


def test_a_folder_that_is_somebody_elses_by_now_is_not_removed(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    """The same, with what an upload left that broke off."""
    folder, other = staged(tmp_path, "c1"), staged(tmp_path, "c9")
    put_upload(double, 1, folder, sign="cycle-c1", without="two_tower_model.keras")
    fail(double, f"^DELETE .*/{MODEL}/1$", LoseReply())
    fail(
        double,
        f"^GET .*/{MODEL}/1$",
        Call(lambda: put_upload(double, 1, other, description="Retrainer cycle c9: full, by another", sign="cycle-c9")),
    )
    assert registry.register(folder).version == 2
    assert whole(double) == {1: "c9", 2: "c1"}


def test_a_manifest_that_is_not_the_one_listed_is_not_believed(
    double: HopsworksDouble, another: Open, tmp_path: Path
) -> None:
    """As a proxy answers that wants one to log in: something else, with HTTP 200."""
    another().register(staged(tmp_path, "c1"))
    fail(double, "download", Status(200, body=b"<html>log in</html>"), times=None)
    with pytest.raises(ClusterUnreachable):
        another().register(staged(tmp_path, "c1"))
    assert whole(double) == {1: "c1"}


@pytest.mark.full
@pytest.mark.parametrize("where", ["^GET .*/Files$", "^GET .*/Files\\?", "^GET .*/models\\?", "download"])
@pytest.mark.parametrize("do", [Status(401), Status(503), NOT_FOUND], ids=["401", "503", "404 of a proxy"])
def test_what_cannot_be_looked_at_is_neither_absent_nor_repaired(
    double: HopsworksDouble, another: Open, tmp_path: Path, where: str, do: Action
) -> None:
    another().register(staged(tmp_path, "c1"))
    since = len(double.requests)
    fault = fail(double, where, do, times=None)
    asking: tuple[Callable[[], object], ...] = (
        lambda: another().find("c1"),
        lambda: another().register(staged(tmp_path, "c1")),
    )
    for ask in asking:
        if where.endswith("Files$"):
            assert ask() is not None  # nobody needs that question when all is well
            continue
        with pytest.raises(Unauthorized if do == Status(401) else ClusterUnreachable):
            ask()
    assert fault.hits or where.endswith("Files$")
    assert whole(double) == {1: "c1"}
    assert not requests_of(double, since, "DELETE") + requests_of(double, since, "POST")


def test_an_upload_that_broke_off_is_taken_back_by_the_cycle_whose_it_is(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    folder = staged(tmp_path, "c1")
    put_upload(double, 1, folder, sign="cycle-c1", without="two_tower_model.keras")
    put_upload(double, 2, staged(tmp_path, "c2"), sign="cycle-c2")
    put_upload(double, 3, folder)  # as somebody may upload it by hand
    double.registry.dirs.add(double.registry.folder(MODEL, 4))  # somebody has just begun
    others = {path for path in double.registry.files if "/1/" not in path}
    assert registry.register(folder).version == 5
    assert folders(double) == {2, 3, 4, 5}
    assert others <= double.registry.files.keys()
    assert [found.version for found in registry.versions()] == [5]


@pytest.mark.parametrize("whole_at_first", [False, True], ids=["broken off", "waiting for its entry"])
def test_what_a_successor_has_made_whole_meanwhile_is_not_removed(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path, whole_at_first: bool
) -> None:
    """This process was stalled before it tried again to remove what its upload had left."""
    folder = staged(tmp_path, "c1")
    put_upload(double, 1, folder, sign="cycle-c1", without="" if whole_at_first else "two_tower_model.keras")

    removed = fail(double, f"^DELETE .*/{MODEL}/1", Status(503))

    def succeed() -> None:
        if removed.hits:
            put_upload(double, 1, folder, sign="cycle-c1", description="Retrainer cycle c1: full, by its successor")

    fail(double, f"^GET .*/{MODEL}/1/Files/cycle-c1$", Call(succeed), times=None)
    assert registry.register(folder).version == 1
    assert removed.hits == 1
    assert whole(double) == {1: "c1"}


@pytest.mark.parametrize("questions", range(4))
def test_an_upload_that_is_whole_is_waited_for_and_found(
    double: HopsworksDouble, session: Session, tmp_path: Path, questions: int
) -> None:
    """As after a process that was killed while its registration was on its way. It comes after some questions."""
    patient = registry_at(session, tmp_path / "cache", settings=SETTINGS.model_copy(update={"settle_for": 20.0}))
    put_upload(double, 1, staged(tmp_path, "c1"), sign="cycle-c1")
    fail(double, r"^GET .*/models\?", Call(lambda: put_entry(double, 1, "Retrainer cycle c1: full, x")), skip=questions)
    assert patient.register(staged(tmp_path, "c1")).version == 1
    assert not requests_of(double, 0, "PUT")


def test_versions_of_others_are_neither_seen_nor_touched(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    folder, odd = staged(tmp_path, "c1"), tmp_path / "odd"
    odd.mkdir()
    (odd / MANIFEST_FILE).write_text(json.dumps({"cycle_id": "c1", "format": 2}))
    escaping = staged(tmp_path, "c1")
    manifest = json.loads((escaping / MANIFEST_FILE).read_text())
    manifest["files"][0]["path"] = "../../outside"
    (escaping / MANIFEST_FILE).write_text(json.dumps(manifest))
    put_upload(double, 1, folder, sign="cycle-c1", description="ours once, until somebody wrote this over it")
    put_upload(double, 2, staged(tmp_path, "c7"), description="Retrainer cycle c1: full, whose manifest says another")
    put_upload(double, 3, odd, description="Retrainer cycle c1: full, of another release")
    put_upload(double, 4, escaping, description="Retrainer cycle c1: full, with a file outside")
    put_entry(double, 5, "somebody's, without files")
    files, entries = dict(double.registry.files), dict(double.registry.models)
    assert registry.versions() == []
    assert registry.find("c1") is None
    for version in range(1, 6):
        with pytest.raises(RegistryError, match=f"no version {version}; it has none"):
            registry.fetch(version)
    assert registry.register(folder).version == 6
    assert files.items() <= double.registry.files.items()
    assert entries.items() <= double.registry.models.items()


def test_people_may_write_into_the_description(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    found = registry.register(staged(tmp_path, "c1"))
    entry = double.registry.models[f"{MODEL}_1"]
    assert entry["description"] == "Retrainer cycle c1: incremental, enough users changed"
    assert entry["metrics"]["recall_at_10"] == found.manifest.metrics.recall_at_10
    assert entry["framework"] == "TENSORFLOW"
    entry["description"] = f"The good one!\n{entry['description']}\nDo not delete."
    assert registry.versions() == [found]
