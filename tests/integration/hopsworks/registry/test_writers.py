"""Several writers, and writers who are killed. Processes that are started here run the SDK as it is."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from schemas.manifest import ModelManifest
from stores.errors import ClusterError
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from stores.registry.hopsworks.saving import Saver
from tests.contract.test_model_registry import staged
from tests.hopsworks_double import Call, HopsworksDouble
from tests.hopsworks_double.clients.registries import (
    MODEL,
    SETTINGS,
    Open,
    broken,
    fail,
    folders,
    put_upload,
    registry_at,
    whole,
)
from tests.hopsworks_double.clients.session import cluster_of, session_of
from tests.waiting import wait_until


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
from stores.hopsworks.session import session_with
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from stores.registry.hopsworks.saving import Saver

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


@pytest.mark.full
def test_two_machines_that_choose_the_same_number_both_get_a_version(double: HopsworksDouble, tmp_path: Path) -> None:
    """Both have found number 1 free before either takes it."""
    both = threading.Barrier(2)
    fail(double, f"^GET .*/{MODEL}_1\\?", Call(lambda: both.wait(30)), times=2)
    writers = [writer(double, tmp_path / f"cache{one}", staged(tmp_path, f"c{one}")) for one in (1, 2)]
    outputs = [one.communicate(timeout=300) for one in writers]
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

    def held(saver: Saver, folder: Path, manifest: ModelManifest, above: int, named: None) -> ClusterError | None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return attempt(saver, folder, manifest, above, named)

    monkeypatch.setattr(Saver, "_try", held)
    folder, registries = staged(tmp_path, "c1"), [another(), another()]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda registry: registry.register(folder), registries))
    assert found[0] == found[1]
    assert both.broken
