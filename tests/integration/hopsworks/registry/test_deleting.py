"""Deleting a version from a cluster that answers badly, or whose caller dies in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.errors import ClusterError
from stores.registry.hopsworks.naming import describe, marker_of
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from stores.registry.pruning import prune, sizes
from tests.contract.test_model_registry import GOLDEN, staged
from tests.hopsworks_double import Drop, HopsworksDouble, LoseReply
from tests.hopsworks_double.clients.registries import MODEL, Open, fail, folders, put_entry, put_upload, whole


def registered(registry: HopsworksModelRegistry, folder: Path, *cycle_ids: str) -> None:
    for cycle_id in cycle_ids:
        registry.register(staged(folder, cycle_id))


def test_entry_and_folder_are_gone_and_the_others_are_as_they_were(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registered(registry, tmp_path, "c1", "c2", "c3")
    registry.delete(2, "c2")
    assert whole(double) == {1: "c1", 3: "c3"}
    assert folders(double) == {1, 3}


def test_an_entry_whose_files_are_gone_is_deleted_by_the_next_call(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    """The server removes the folder first: a death after that leaves the entry alone."""
    registered(registry, tmp_path, "c1", "c2")
    double.registry.remove_folder(MODEL, 1)
    assert registry.find("c1") is None, "nobody takes what is left for a version"
    registry.delete(1, "c1")
    assert [entry["version"] for entry in double.registry.models.values()] == [2]
    assert folders(double) == {2}


def test_a_folder_whose_entry_is_gone_is_removed_by_the_next_call(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registered(registry, tmp_path, "c1")
    put_upload(double, 7, staged(tmp_path, "c7"), sign=marker_of("c7"))
    registry.delete(7, "c7")
    assert folders(double) == {1}


def test_what_others_have_put_there_stays(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registered(registry, tmp_path, "c1")
    put_entry(double, 5, "of a person")
    put_upload(double, 6, staged(tmp_path, "c6"), sign=marker_of("c6"), description=describe(GOLDEN))
    put_upload(double, 7, staged(tmp_path, "other"))
    for version in (5, 6, 7):
        registry.delete(version, "c1")
    assert {entry["version"] for entry in double.registry.models.values()} == {1, 5, 6}
    assert folders(double) == {1, 6, 7}


@pytest.mark.parametrize("reply", [Drop(), LoseReply()], ids=["dropped", "answer lost"])
def test_a_deletion_without_an_answer_is_tried_again(
    double: HopsworksDouble, registry: HopsworksModelRegistry, another: Open, tmp_path: Path, reply: Drop | LoseReply
) -> None:
    registered(registry, tmp_path, "c1", "c2")
    fail(double, "DELETE", reply)
    try:
        registry.delete(1, "c1")
    except ClusterError:
        registry.delete(1, "c1")
    assert whole(double) == {2: "c2"}
    assert [found.version for found in another().versions()] == [2]


def test_sizes_and_what_was_freed_are_those_of_the_files(registry: HopsworksModelRegistry, tmp_path: Path) -> None:
    registered(registry, tmp_path, "c1", "c2")
    assert sizes(registry) == {1: 7, 2: 7}
    pruned = prune(registry, {1: "c1", 4: "c4"}, 0)
    assert (pruned.freed, pruned.left) == ({1: 7, 4: 0}, {})
    assert sizes(registry) == {2: 7}
    spared = prune(registry, {2: "c2"}, 0, {2: "it is served"})
    assert (spared.freed, spared.left) == ({}, {2: "it is served"})
    assert sizes(registry) == {2: 7}
