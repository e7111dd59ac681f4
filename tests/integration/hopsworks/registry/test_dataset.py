"""Files and folders: whether something is there is answered strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.errors import ClusterUnreachable, NotThere, Unauthorized
from stores.hopsworks.dataset import Dataset
from stores.hopsworks.session import Session
from tests.hopsworks_double import HopsworksDouble, Status
from tests.hopsworks_double.clients.registries import fail


def test_only_hopsworks_says_that_something_is_absent(
    double: HopsworksDouble, session: Session, tmp_path: Path
) -> None:
    dataset, folder = Dataset(session), f"/Projects/{double.project}/Models"
    absent = f"{folder}/nothing"
    assert dataset.stat(absent) is None
    assert dataset.children(absent) is None
    with pytest.raises(NotThere):
        dataset.download(absent, tmp_path / "file")
    for status, raised in (
        (401, Unauthorized),
        (403, Unauthorized),
        (500, ClusterUnreachable),
        (503, ClusterUnreachable),
    ):
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
