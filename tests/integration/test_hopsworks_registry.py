"""Registering in a Hopsworks cluster, with everything that can fail failing: one complete version a cycle in the end.

In this process the pauses of the SDK are left out (`without_pauses`); the processes that tests start run them all.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from schemas.manifest import MANIFEST_FILE, ModelManifest
from tests.contract.test_model_registry import staged
from tests.hopsworks.double import HopsworksDouble
from tests.hopsworks.faults import Action, Call, Drop, LoseReply, Stall, Status
from tests.hopsworks.registries import (
    MODEL,
    SETTINGS,
    broken,
    fail,
    folders,
    put_entry,
    put_upload,
    registry_at,
    requests_of,
    running_double,
    whole,
    without_pauses,
)
from tests.hopsworks.running import cluster_of, session_of
from tests.waiting import wait_until
from trainer.errors import ClusterError, NotThere, RegistryError, TrainerError, Unauthorized, Unreachable
from trainer.hopsworks.dataset import Dataset
from trainer.hopsworks.session import Session
from trainer.registry.hopsworks import HopsworksModelRegistry
from trainer.registry.hopsworks_saving import Saver

Open = Callable[[], HopsworksModelRegistry]
NOT_FOUND = Status(404, body=b"<html>default backend</html>")
"""As a proxy answers that has lost its way."""


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pauses(monkeypatch)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[HopsworksDouble]:
    with running_double(tmp_path / "double") as double:
        yield double


@pytest.fixture
def session(double: HopsworksDouble) -> Iterator[Session]:
    with session_of(double, request_timeout=1.0, retry_for=0.5) as session:
        yield session


@pytest.fixture
def registry(session: Session, tmp_path: Path) -> HopsworksModelRegistry:
    return registry_at(session, tmp_path / "cache")


@pytest.fixture
def another(session: Session, tmp_path: Path) -> Open:
    """Opens the registry as another machine would, with nothing in its cache."""
    numbers = count()
    return lambda: registry_at(session, tmp_path / f"cache-{next(numbers)}")


# --- one failure at every request ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "do",
    [
        Status(503),
        Status(401, 320004),
        NOT_FOUND,
        Drop(),
        LoseReply(),
    ],
    ids=["503", "401", "404 of a proxy", "connection dropped", "reply lost"],
)
def test_whichever_request_fails_the_cycle_has_one_version_in_the_end(
    double: HopsworksDouble, session: Session, tmp_path: Path, do: Action
) -> None:
    """One request of a registration fails, each in its turn, looking up before and after included.

    Every turn has a model of its own, where a cycle was registered before that must not be harmed.
    """
    before, folder = staged(tmp_path, "before"), staged(tmp_path, "c1")

    def opened(name: str, cache: str) -> HopsworksModelRegistry:
        return registry_at(session, tmp_path / cache / name, name)

    opened("undisturbed", "a").register(before)
    since = len(double.requests)
    opened("undisturbed", "a").register(folder)
    asked = requests_of(double, since)
    assert sum(line.startswith("POST") and "/upload/" in line for line in asked) == 3
    assert len(asked) > 25
    for turn, line in enumerate(asked):
        name = f"model{turn}"
        opened(name, "a").register(before)
        fault = fail(double, ".", do, skip=turn)
        with suppress(TrainerError):
            opened(name, "a").register(folder)
        found = opened(name, "a").register(folder)
        assert fault.hits == 1, line
        double.faults.clear()
        assert whole(double, name) == {1: "before", found.version: "c1"}, line
        assert not broken(double, name), line
        elsewhere = opened(name, "b")
        assert [(one.version, one.manifest.cycle_id) for one in elsewhere.versions()] == [
            (1, "before"),
            (found.version, "c1"),
        ], line
        assert elsewhere.find("c1") == found, line
        assert (elsewhere.fetch(found.version) / "two_tower_model.keras").read_text() == "weights", line


@pytest.mark.parametrize(
    ("where", "do"),
    [("^PUT ", LoseReply()), (f"^GET .*/{MODEL}_1\\?", Status(503)), (f"^GET .*/{MODEL}_1\\?", Drop())],
    ids=["reply to PUT lost", "503 while polling", "dropped while polling"],
)
def test_a_version_that_is_registered_although_the_save_failed_is_kept(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path, where: str, do: Action
) -> None:
    # The first question for the number is how the SDK finds that it is free; the second is the polling.
    fault = fail(double, where, do, skip=0 if where.startswith("^PUT") else 1)
    assert registry.register(staged(tmp_path, "c1")).version == 1
    assert fault.hits == 1
    assert whole(double) == {1: "c1"}
    assert len(requests_of(double, 0, "PUT")) == 1
    assert not requests_of(double, 0, "DELETE")


def test_a_version_that_the_sdk_waited_for_in_vain_is_found(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    """The SDK then fails with an AttributeError, although the version is registered."""
    double.registry.visible_after = 1000
    assert registry.register(staged(tmp_path, "c1")).version == 1
    assert len(requests_of(double, 0, "PUT")) == 1


def test_an_entry_that_comes_late_finds_its_files(double: HopsworksDouble, session: Session, tmp_path: Path) -> None:
    """The PUT gets no answer, and is done while the upload is waited for."""
    patient = registry_at(session, tmp_path / "cache", settings=SETTINGS.model_copy(update={"settle_for": 20.0}))
    fail(double, "^PUT ", Stall(2.0))
    assert patient.register(staged(tmp_path, "c1")).version == 1
    assert whole(double) == {1: "c1"}
    assert len(requests_of(double, 0, "PUT")) == 1


def test_an_entry_that_comes_when_nobody_waits_any_more_harms_nobody(
    double: HopsworksDouble,
    registry: HopsworksModelRegistry,
    another: Open,
    tmp_path: Path,
) -> None:
    """The PUT gets no answer and is done after the cycle was saved again: an entry without files, by itself."""
    stalled = fail(double, "^PUT ", Stall())
    found = registry.register(staged(tmp_path, "c1"))
    assert found.version == 2
    stalled.lift()
    wait_until(lambda: broken(double) == {1}, 5, "the late entry")
    assert registry.versions() == another().versions() == [found]
    assert registry.find("c1") == found
    with pytest.raises(RegistryError, match=r"no version 1; it has 2"):
        registry.fetch(1)
    assert another().register(staged(tmp_path, "c1")) == found
    assert not broken(double), "who registers the cycle again clears it up"
    assert whole(double) == {2: "c1"}


def test_a_cluster_that_stays_silent_leaves_the_outcome_open_and_the_next_try_finds_it(
    double: HopsworksDouble,
    registry: HopsworksModelRegistry,
    another: Open,
    tmp_path: Path,
) -> None:
    fail(double, f"^GET .*/{MODEL}_1\\?", Call(lambda: double.set_api_key_valid(False)), skip=1)
    with pytest.raises(RegistryError, match=r"c1 is registered is not known.*resumed under its id") as told:
        registry.register(staged(tmp_path, "c1"))
    assert double.api_key not in str(told.value)
    double.set_api_key_valid(True)
    assert another().register(staged(tmp_path, "c1")).version == 1
    assert len(requests_of(double, 0, "PUT")) == 1


def test_a_key_that_is_exchanged_during_an_upload_is_read_again(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    fail(double, "^POST .*/upload/", Call(double.rotate_api_key), skip=1)
    found = registry.register(staged(tmp_path, "c1"))
    assert whole(double) == {found.version: "c1"}
    assert not broken(double)


def test_a_cluster_that_refuses_for_good_is_told_with_what_it_said(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    fail(double, "^POST .*/upload/", Status(403, 110056, "uploads are not allowed"), times=None)
    with pytest.raises(RegistryError, match=r"not registered after 3 tries.*allowed"):
        registry.register(staged(tmp_path, "c1"))
    assert not whole(double)
    assert not folders(double), "the partial uploads are taken back"
    double.faults.clear()
    assert registry.register(staged(tmp_path, "c1")).version == 1


def test_without_a_models_dataset_it_is_said_what_to_do(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    double.registry.dirs.remove(f"/Projects/{double.project}/Models")
    with pytest.raises(RegistryError, match=r"no Models dataset.*enable serving"):
        registry.versions()
    with pytest.raises(RegistryError, match="no Models dataset"):
        registry.register(staged(tmp_path, "c1"))
    assert not requests_of(double, 0, "POST")


def test_a_models_dataset_that_cannot_be_looked_at_is_not_absent(
    double: HopsworksDouble, registry: HopsworksModelRegistry
) -> None:
    fail(double, "^GET .*/dataset/Models", Status(503), times=None)
    with pytest.raises(Unreachable):
        registry.versions()
    double.faults.clear()
    fail(double, "^GET .*/dataset/Models", Status(401))
    assert registry.versions() == []


# --- what others leave behind -----------------------------------------------------------------------------------------


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
    with pytest.raises(Unreachable):
        another().register(staged(tmp_path, "c1"))
    assert whole(double) == {1: "c1"}


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
        with pytest.raises(Unauthorized if do == Status(401) else Unreachable):
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


# --- several writers, and writers who are killed ----------------------------------------------------------------------


def test_a_save_that_fails_does_not_remove_the_version_of_a_writer_who_was_faster(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    """The SDK would: it removes whatever has the number that it chose."""
    other = staged(tmp_path, "c9")
    fail(
        double,
        f"^POST .*/{MODEL}/1\\?.*create",
        Call(lambda: put_upload(double, 1, other, description="Retrainer cycle c9: full, by another", sign="cycle-c9")),
    )
    assert registry.register(staged(tmp_path, "c1")).version == 2
    assert whole(double) == {1: "c9", 2: "c1"}


def test_of_a_cycle_that_was_registered_twice_the_first_counts(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    found = registry.register(staged(tmp_path, "c1"))
    put_upload(double, 2, staged(tmp_path, "c1"), description="Retrainer cycle c1: full, again")
    assert registry.versions() == [found]
    assert registry.find("c1") == found
    assert registry.register(staged(tmp_path, "c1")) == found
    assert whole(double) == {1: "c1", 2: "c1"}, "no complete version is deleted"


WRITER = """
import sys
from pathlib import Path
from schemas.hopsworks import Hopsworks, HopsworksRegistry
from trainer.hopsworks.session import session_with
from trainer.registry.hopsworks import HopsworksModelRegistry
from trainer.registry.hopsworks_saving import Saver

cluster, settings, name, cache, staged = sys.argv[1:]
registry = HopsworksModelRegistry(
    session_with(Hopsworks.model_validate_json(cluster)),
    HopsworksRegistry.model_validate_json(settings),
    name,
    Path(cache),
)
print(registry.register(Path(staged)).version)
"""


def writer(double: HopsworksDouble, cache: Path, folder: Path) -> subprocess.Popen[str]:
    """A process that registers a folder, with all the SDK's pauses."""
    settings = (cluster_of(double).model_dump_json(), SETTINGS.model_dump_json(), MODEL, str(cache), str(folder))
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("where", "skip"),
    [(f"^POST .*/{MODEL}/1\\?.*create", 0), ("^POST .*/1/Files/cycle-c1\\?", 0), ("^POST .*/upload/", 1), ("^PUT ", 0)],
    ids=["folder", "sign", "upload", "registration"],
)
def test_a_writer_who_is_killed_is_followed_by_one_who_ends_what_was_begun(
    double: HopsworksDouble, tmp_path: Path, where: str, skip: int
) -> None:
    """The process is killed over a request, which is then done, as its last one."""
    killed: list[subprocess.Popen[str]] = []
    started = threading.Event()

    def kill() -> None:
        started.wait(10)
        killed[0].send_signal(signal.SIGKILL)
        killed[0].wait(10)

    fail(double, where, Call(kill), skip=skip)
    killed.append(writer(double, tmp_path / "cache", staged(tmp_path, "c1")))
    started.set()
    assert killed[0].wait(60) == -signal.SIGKILL
    killed[0].communicate()
    wait_until(lambda: where != "^PUT " or double.registry.models, 5, "the registration, done all the same")
    with session_of(double) as session:
        found = registry_at(session, tmp_path / "cache").register(staged(tmp_path, "c1"))
        assert registry_at(session, tmp_path / "other").versions() == [found]
    assert whole(double) == {found.version: "c1"}
    assert not broken(double)
    # A folder that was made and not yet signed cannot be told from one that somebody else has just made.
    assert folders(double) == ({1, 2} if "Files" not in where and "create" in where else {1})


def test_two_machines_that_choose_the_same_number_both_get_a_version(double: HopsworksDouble, tmp_path: Path) -> None:
    """Both have found number 1 free before either takes it."""
    both = threading.Barrier(2)
    fail(double, f"^GET .*/{MODEL}_1\\?", Call(lambda: both.wait(30)), times=2)
    writers = [writer(double, tmp_path / f"cache{one}", staged(tmp_path, f"c{one}")) for one in (1, 2)]
    outputs = [one.communicate(timeout=60) for one in writers]
    assert [one.returncode for one in writers] == [0, 0], outputs
    numbers = [int(stdout) for stdout, _ in outputs]
    assert sorted(numbers) == [1, 2]
    assert whole(double) == {numbers[0]: "c1", numbers[1]: "c2"}
    assert not broken(double)


def test_two_registries_of_a_process_write_one_after_the_other(
    another: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even with caches of their own. Whoever is to save is held up until the other is about to as well, if it gets so
    far."""
    both, attempt = threading.Barrier(2), Saver._try

    def held(saver: Saver, folder: Path, manifest: ModelManifest) -> ClusterError | None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return attempt(saver, folder, manifest)

    monkeypatch.setattr(Saver, "_try", held)
    folder, registries = staged(tmp_path, "c1"), [another(), another()]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda registry: registry.register(folder), registries))
    assert found[0] == found[1]
    assert both.broken


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_a_version_is_downloaded_once_and_again_when_its_copy_is_damaged(
    double: HopsworksDouble,
    registry: HopsworksModelRegistry,
    another: Open,
    tmp_path: Path,
) -> None:
    registry.register(staged(tmp_path, "c1"))
    opened = another()
    folder = opened.fetch(1)
    since = len(double.requests)
    assert opened.fetch(1) == folder
    assert not requests_of(double, since, part="download")
    (folder / "two_tower_model.keras").write_text("damaged")
    assert (opened.fetch(1) / "two_tower_model.keras").read_text() == "weights"
    (folder / "towers" / "empty.txt").unlink()
    assert (opened.fetch(1) / "towers" / "empty.txt").read_text() == ""


def test_a_number_that_is_given_out_again_is_another_version(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(staged(tmp_path, "c1"))
    registry.fetch(1)
    double.registry.remove_folder(MODEL, 1)
    del double.registry.models[f"{MODEL}_1"]
    other = staged(tmp_path, "c2", content="others!")
    put_upload(double, 1, other, description="Retrainer cycle c2: full, afresh")
    assert [found.manifest.cycle_id for found in registry.versions()] == ["c2"]
    assert (registry.fetch(1) / "two_tower_model.keras").read_text() == "others!"
    third = staged(tmp_path, "a-third-cycle", content="thirds?")
    put_upload(double, 1, third, description="Retrainer cycle a-third-cycle: full, made at the same moment")
    assert [found.manifest.cycle_id for found in registry.versions()] == ["a-third-cycle"]
    assert (registry.fetch(1) / "two_tower_model.keras").read_text() == "thirds?"


def test_a_version_that_is_damaged_in_the_registry_is_not_given(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(staged(tmp_path, "c1"))
    double.registry.files[f"{double.registry.folder(MODEL, 1)}/Files/two_tower_model.keras"] = b"WEIGHTS"
    with pytest.raises(RegistryError, match="version 1 of two_tower_recommender is damaged"):
        registry.fetch(1)


@pytest.mark.parametrize("do", [Status(503), Status(401), Drop(), LoseReply()], ids=["503", "401", "drop", "reply"])
def test_whichever_request_of_a_download_fails_it_is_made_again(
    double: HopsworksDouble,
    registry: HopsworksModelRegistry,
    another: Open,
    tmp_path: Path,
    do: Action,
) -> None:
    registry.register(staged(tmp_path, "c1"))
    since = len(double.requests)
    another().fetch(1)
    for turn in range(len(requests_of(double, since))):
        fault = fail(double, ".", do, skip=turn)
        assert (another().fetch(1) / "two_tower_model.keras").read_text() == "weights"
        assert fault.hits == 1


def test_the_copies_used_last_are_kept(registry: HopsworksModelRegistry, tmp_path: Path) -> None:
    numbers = [registry.register(staged(tmp_path, f"c{number}")).version for number in range(6)]
    for number in (1, 2, 3, 4, 1, 5, 6):
        registry.fetch(number)
    kept = {path.name.split("-")[0] for path in (tmp_path / "cache" / "files").iterdir()}
    assert kept == {"1", "4", "5", "6"}
    assert [found.version for found in registry.versions()] == numbers


def test_manifests_are_downloaded_once_and_forgotten_with_their_versions(
    double: HopsworksDouble, another: Open, tmp_path: Path
) -> None:
    opened = another()
    for number in range(3):
        another().register(staged(tmp_path, f"c{number}"))
    assert len(opened.versions()) == 3
    since = len(double.requests)
    assert len(opened.versions()) == 3
    assert not requests_of(double, since, part="download")
    double.registry.remove_folder(MODEL, 2)
    del double.registry.models[f"{MODEL}_2"]
    assert [found.version for found in opened.versions()] == [1, 3]
    kept = sorted(path.name.split("-")[0] for path in (tmp_path / "cache-0" / "manifests").glob("*.json"))
    assert kept == ["1", "3"]


# --- the champion's tag -----------------------------------------------------------------------------------------------


def champions(double: HopsworksDouble) -> dict[str, str]:
    return {
        entry: tags[SETTINGS.tag]["cycle_id"] for entry, tags in double.registry.tags.items() if SETTINGS.tag in tags
    }


def test_the_tag_moves_with_the_champion(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    double.registry.tag_schemas.add(SETTINGS.tag)
    for number in range(3):
        registry.register(staged(tmp_path, f"c{number}"))
    put_entry(double, 9, "somebody's")
    double.registry.tags[f"{MODEL}_9"][SETTINGS.tag] = {"cycle_id": "theirs"}
    theirs = {f"{MODEL}_9": "theirs"}
    assert registry.mirror_champion(1) is None
    assert champions(double) == {f"{MODEL}_1": "c0"} | theirs
    fail(double, "^DELETE .*/tags/", LoseReply())
    assert registry.mirror_champion(3) is None
    assert champions(double) == {f"{MODEL}_3": "c2"} | theirs
    assert registry.mirror_champion(3) is None
    assert champions(double) == {f"{MODEL}_3": "c2"} | theirs
    with pytest.raises(RegistryError, match="no version 9; it has 1, 2, 3"):
        registry.mirror_champion(9)


def test_without_a_schema_for_the_tag_it_is_noted_and_nothing_fails(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(staged(tmp_path, "c1"))
    assert "no schema for a tag retrainer" in (registry.mirror_champion(1) or "")
    double.registry.tag_schemas.add(SETTINGS.tag)
    fail(double, "^PUT .*/tags/", Status(400, 370005, "the value does not fit the schema"))
    assert "does not fit the schema" in (registry.mirror_champion(1) or "")
    fail(double, "^PUT .*/tags/", Status(503), times=None)
    with pytest.raises(Unreachable):
        registry.mirror_champion(1)


# --- files and folders ------------------------------------------------------------------------------------------------


def test_only_hopsworks_says_that_something_is_absent(
    double: HopsworksDouble, session: Session, tmp_path: Path
) -> None:
    dataset, folder = Dataset(session), f"/Projects/{double.project}/Models"
    absent = f"{folder}/nothing"
    assert dataset.stat(absent) is None
    assert dataset.children(absent) is None
    with pytest.raises(NotThere):
        dataset.download(absent, tmp_path / "file")
    for status, raised in ((401, Unauthorized), (403, Unauthorized), (500, Unreachable), (503, Unreachable)):
        fault = fail(double, "nothing", Status(status), times=None)
        for ask in (dataset.stat, dataset.children):
            with pytest.raises(raised):
                ask(absent)
        double.faults.clear()
        assert fault.hits


def test_a_folder_of_many_pages_is_listed_whole(double: HopsworksDouble, session: Session, tmp_path: Path) -> None:
    folder = f"/Projects/{double.project}/Models"
    for numbers in (range(1000), range(1000, 2005)):
        double.registry.files.update({f"{folder}/f{number:04}": b"x" * (number % 7) for number in numbers})
        nodes = Dataset(session).children(folder) or []
        assert {node.name: node.size for node in nodes} == {f"f{n:04}": n % 7 for n in range(numbers.stop)}
        assert len(nodes) == numbers.stop
