"""What tests of the model registry share: a double, registries in it, what is in it, and what others put there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

from schemas.hopsworks import HopsworksRegistry
from schemas.manifest import MANIFEST_FILE
from stores.hopsworks import session as sessions
from stores.hopsworks.session import Session
from stores.registry.hopsworks import saving as hopsworks_saving
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from tests.hopsworks_double import Action, ClusterSpec, Fault, HopsworksDouble, Status
from tests.worlds import GROUP

MODEL = "two_tower_recommender"
Open = Callable[[], HopsworksModelRegistry]
NOT_FOUND = Status(404, body=b"<html>default backend</html>")
"""As a proxy answers that has lost its way."""
SETTINGS = HopsworksRegistry(await_registration=10, settle_for=0.2)


@contextmanager
def running_double(folder: Path) -> Iterator[HopsworksDouble]:
    """A cluster that runs."""
    with HopsworksDouble(folder, ClusterSpec(group=GROUP)) as double:
        yield double


def registry_at(
    session: Session, cache: Path, name: str = MODEL, settings: HopsworksRegistry = SETTINGS
) -> HopsworksModelRegistry:
    """A registry, opened as another process would."""
    return HopsworksModelRegistry(session, settings, name, cache)


def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the SDK does not sleep for the 5 seconds that each of its saves takes, nor before it uploads a
    chunk again, and our own pauses before another try are short. Processes of their own run all of it as it is."""
    from hopsworks_common.core import dataset_api
    from hsml.engine import model_engine

    awake = SimpleNamespace(sleep=lambda _: None, time=time.time)
    monkeypatch.setattr(model_engine, "time", awake)
    monkeypatch.setattr(dataset_api, "time", awake)
    monkeypatch.setattr(hopsworks_saving, "_PAUSE", (0.0, 0.01))
    monkeypatch.setattr(hopsworks_saving, "_LOOK_EVERY", 0.1)
    monkeypatch.setattr(sessions, "_LONGEST_WAIT", 0.02)


def whole(double: HopsworksDouble, name: str = MODEL) -> dict[int, str]:
    """The versions in the cluster that have entry and files, with the cycles of their manifests, as a stranger sees."""
    found: dict[int, str] = {}
    for entry in double.registry.models.values():
        files = f"{double.registry.folder(name, entry['version'])}/Files"
        content = double.registry.files.get(f"{files}/{MANIFEST_FILE}")
        if entry["name"] != name or content is None:
            continue
        manifest = json.loads(content)
        if all(
            hashlib.sha256(double.registry.files.get(f"{files}/{file['path']}", b"?")).hexdigest() == file["sha256"]
            for file in manifest["files"]
        ):
            found[entry["version"]] = manifest["cycle_id"]
    return found


def broken(double: HopsworksDouble, name: str = MODEL) -> set[int]:
    """The versions that have an entry and are not whole."""
    entries = {entry["version"] for entry in double.registry.models.values() if entry["name"] == name}
    return entries - whole(double, name).keys()


def folders(double: HopsworksDouble, name: str = MODEL) -> set[int]:
    """The numbers of the folders of versions."""
    root = PurePosixPath(double.registry.folder(name, 0)).parent
    paths = [PurePosixPath(path) for path in double.registry.dirs]
    return {int(path.name) for path in paths if path.parent == root}


def requests_of(double: HopsworksDouble, since: int, method: str = "", part: str = "") -> list[str]:
    """What was asked since a moment."""
    asked = [f"{request.method} {request.path}" for request in double.requests[since:]]
    return [line for line in asked if line.startswith(method) and part in line]


def fail(double: HopsworksDouble, where: str, do: Action, *, times: int | None = 1, skip: int = 0) -> Fault:
    """Have a request of the control plane fail."""
    return double.faults.add(Fault(server="control", where=where, do=do, times=times, skip=skip))


def put_upload(
    double: HopsworksDouble,
    version: int,
    folder: Path,
    *,
    sign: str | None = None,
    description: str | None = None,
    without: str = "",
) -> None:
    """Put the files of a version there, as a writer somewhere else does; its entry too where it has a description."""
    top = double.registry.folder(MODEL, version)
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != without]
    for path in paths:
        double.registry.files[f"{top}/Files/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    parents = {f"{top}/Files/{path.relative_to(folder).parent.as_posix()}".removesuffix("/.") for path in paths}
    double.registry.dirs.update({str(PurePosixPath(top).parent), top, f"{top}/Files", *parents})
    if sign is not None:
        double.registry.dirs.add(f"{top}/Files/{sign}")
    if description is not None:
        put_entry(double, version, description)


def put_entry(double: HopsworksDouble, version: int, description: str, created: int = 1) -> None:
    """Put an entry there."""
    double.registry.models[f"{MODEL}_{version}"] = {
        "id": f"{MODEL}_{version}",
        "name": MODEL,
        "version": version,
        "projectName": double.project,
        "modelRegistryId": double.project_id,
        "description": description,
        "metrics": {},
        "framework": "PYTHON",
        "created": created,
    }
    double.registry.tags[f"{MODEL}_{version}"] = {}
