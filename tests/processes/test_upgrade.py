"""An upgrade as an operator makes it: what the release before left is taken over by the commands of this one.

The folder is kept in `tests/earlier`. Where the checkout has a tag of a release, the code of the last leaves another.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from consumer.database.tables import SCHEMA_VERSION
from stores.vectors.reader import VectorSet
from tests.earlier.leave import LEFT, USERS, WAITING
from tests.integration.service import QUICK, ServiceProcess

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
TRAINING = 600.0  # seconds, at most, for two cycles on a busy machine


def last_tag() -> str | None:
    """The newest tag of a release in this checkout; None without one."""
    git = ["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD~1"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


@pytest.fixture(params=["kept", "last tag"])
def left(request: pytest.FixtureRequest, tmp_path: Path) -> ServiceProcess:
    """The state folder of an earlier release, and the settings that it ran with."""
    state = tmp_path / "state"
    if request.param == "kept":
        with tarfile.open(ROOT / "tests" / "earlier" / "state-8.tar.xz") as packed:
            packed.extractall(state, filter="data")
    elif (tag := last_tag()) is None:
        pytest.skip("this checkout has no tag of a release yet")
    else:
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", tag], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(tmp_path / "code", filter="data")
        script = (ROOT / "tests" / "earlier" / "leave.py").read_text()  # the tag may not have it
        (tmp_path / "code" / "tests" / "earlier" / "leave.py").write_text(script)
        subprocess.run(
            [sys.executable, "-m", "tests.earlier.leave", str(state)],
            cwd=tmp_path / "code",
            env={**os.environ, "PYTHONPATH": str(tmp_path / "code")},
            check=True,
            timeout=600,
        )
    settings = {**QUICK, "STATE_DIR": str(state), "VECTORS__OUT": str(state / "vectors"), "GATE__MIN_USERS": "20"}
    return ServiceProcess(tmp_path, settings)


def said(service: ServiceProcess, *arguments: str) -> Any:
    """The answer of a command, as JSON."""
    done = service.call(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_release_takes_over_from_the_one_before_and_can_go_back_to_its_versions(left: ServiceProcess) -> None:
    ledger = left.state_dir / "ledger.db"
    with closing(sqlite3.connect(ledger)) as database:
        (schema,) = database.execute("SELECT version FROM schema_version").fetchone()
    if schema < SCHEMA_VERSION:  # commands that only look leave the ledger to the service
        refused = left.call("versions")
        assert refused.returncode == 1
        assert f"has schema {schema}, this release needs {SCHEMA_VERSION}" in refused.stderr
        assert "`retrainer run` brings it up to date" in refused.stderr

    trained = left.call("train", within=TRAINING)
    assert trained.returncode == 0, trained.stderr
    assert "finishing the cycle that was cut short first" in trained.stdout + trained.stderr

    versions = said(left, "versions")
    assert [one["version"] for one in versions] == [1, 2, 3, 4]
    assert [one["changed_users"] for one in versions] == [USERS, 40, LEFT, WAITING]
    assert [one["base_version"] for one in versions] == [None, 1, 2, 3]
    (topic,) = versions[0]["offsets"]
    for before, after in pairwise(versions):  # no event is skipped, and none is learned twice
        assert {of: end for of, (_, end) in before["offsets"][topic].items() if of in after["offsets"][topic]} == {
            of: start for of, (start, _) in after["offsets"][topic].items() if of in before["offsets"][topic]
        }
    status = left.status()
    assert (status["pending"]["users"], status["champion"]) == (0, 4)

    back = left.call("rollback", "2", "--reason", "the new release learned nonsense")
    assert back.returncode == 0, back.stderr
    assert left.status()["champion"] == 2
    again = left.call(
        "train", within=TRAINING
    )  # what 3 and 4 had learned waits again, and is learned on top of the old version
    assert again.returncode == 0, again.stderr
    newest = said(left, "show", "last")
    assert (newest["base_version"], newest["lineage"]["changed_users"]) == (2, LEFT + WAITING)


def test_what_the_release_before_wrote_is_read(left: ServiceProcess) -> None:
    assert VectorSet.open(left.state_dir / "vectors").stamp.origin.version == 2
    left.call("train", within=TRAINING)
    first = said(left, "show", "1")
    assert (first["state"], first["result"]["version"]) == ("registered", 1)
    report = said(left, "report", "1")
    page = Path(report["page"])
    assert report["outcome"] == "registered"
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")
    assert said(left, "explain", "u0")["user"] == "u0"


def test_an_older_release_refuses_the_ledger_of_a_newer_one_and_says_what_to_do(left: ServiceProcess) -> None:
    with closing(sqlite3.connect(left.state_dir / "ledger.db")) as database:
        database.execute("UPDATE schema_version SET version = ?", (SCHEMA_VERSION + 1,))
        database.commit()
    for command in (["run"], ["status"], ["versions"]):
        refused = left.call(*command)
        assert refused.returncode == 1
        assert f"has schema {SCHEMA_VERSION + 1}, this release needs {SCHEMA_VERSION}" in refused.stderr
        assert "use the release that made it, or a later one" in refused.stderr
