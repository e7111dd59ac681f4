"""Registering with everything that can fail failing: one complete version a cycle in the end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from stores.errors import ClusterUnreachable, RegistryError, StoreError
from stores.hopsworks.session import Session
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from tests.contract.test_model_registry import staged
from tests.hopsworks_double import Action, Call, Drop, HopsworksDouble, LoseReply, Stall, Status
from tests.hopsworks_double.clients.registries import (
    MODEL,
    NOT_FOUND,
    SETTINGS,
    Open,
    broken,
    fail,
    folders,
    registry_at,
    requests_of,
    whole,
)
from tests.waiting import wait_until


@pytest.mark.full
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
        with suppress(StoreError):
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
    with pytest.raises(ClusterUnreachable):
        registry.versions()
    double.faults.clear()
    fail(double, "^GET .*/dataset/Models", Status(401))
    assert registry.versions() == []
