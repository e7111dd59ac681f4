"""`retrainer explain` as a process, on what real cycles have left: a user who was learned, and one who was deleted."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.models.small_loop import SmallLoop

LEARNED, DELETED = "u5", "u61"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> SmallLoop:
    loop = SmallLoop(tmp_path_factory.mktemp("story"))
    loop.story()
    loop.close()
    return loop


def explain(story: SmallLoop, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
    command = [sys.executable, "-m", "retrainer.cli", "explain", *arguments]
    environment = {**inherited, **story.variables, **more}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.full
def test_a_learned_user_is_told_on_80_columns(story: SmallLoop) -> None:
    ended = explain(story, LEARNED, COLUMNS="80")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert lines[1].startswith("learned  its last change, by version 2 (cycle c000002-")
    assert "rank  before, version 1  cosine before  now, version 3  cosine now" in lines
    assert "both on today's rows: the others are those of the user matrix, with 302 users" in lines


@pytest.mark.full
def test_a_deleted_user_is_proven_gone_and_seen_where_it_is_put_back(story: SmallLoop) -> None:
    ended = explain(story, DELETED)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "none of 8 places holds it" in ended.stdout
    (space,) = (story.folder / "trainer" / "spaces").iterdir()
    with closing(sqlite3.connect(space / "index.db")) as db, db:
        db.execute("INSERT INTO users VALUES (?, 700)", (DELETED,))
    ended = explain(story, DELETED, "--json")
    assert (ended.returncode, ended.stderr) == (1, "")
    found = json.loads(ended.stdout)
    held = {one["place"].partition(" of space")[0] for one in found["traces"] if one["found"] == "held"}
    assert held == {"user matrix", "exams"}
    assert found["settled"]["operation"] == "delete"


@pytest.mark.full
def test_what_cannot_be_asked_is_told_and_fails(story: SmallLoop, tmp_path: Path) -> None:
    ended = explain(story, LEARNED, RETRAINER_FEATURE_STORE__PATH=str(tmp_path / "nowhere.db"))
    assert ended.returncode == 1
    assert "the feature store cannot be asked" in ended.stdout
    assert "by version 2" in ended.stdout
