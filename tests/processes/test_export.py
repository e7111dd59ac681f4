"""`retrainer export` and the service's exporter, by the process that they start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from consumer.database.tables import promotions
from consumer.deployment.champion_follower import ChampionFollower, NotBrought
from consumer.deployment.exporting import Exporter
from consumer.followers import followers_of, words_of
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.settings import Settings, load_settings
from schemas.jobs.saved_model import folder_of, versions_in
from tests.models.export.registered import registered
from tests.waiting import wait_until

MODEL = "two_tower_recommender"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with two versions, the second of them champion."""
    folder = tmp_path_factory.mktemp("state")
    written = registered(folder, versions=2)
    (folder / "store.db").rename(folder / "feature_store.db")
    columns = json.dumps([column.model_dump() for column in written.feature_group.columns])
    (folder / "settings").write_text(f"{written.feature_group.name}\n{columns}\n")
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
        promote(ledger, 2)
    return folder


def promote(ledger: Ledger, version: int) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=version, at=1.0, reason="the test says so"))


def environment(state: Path) -> dict[str, str]:
    name, columns = (state / "settings").read_text().splitlines()
    return {
        "RETRAINER_STATE_DIR": str(state),
        "RETRAINER_FEATURE_GROUP__NAME": name,
        "RETRAINER_FEATURE_GROUP__COLUMNS": columns,
    }


def run(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
    command = [sys.executable, "-m", "retrainer.cli", "export", *arguments]
    return subprocess.run(command, env={**inherited, **environment(state)}, capture_output=True, text=True, check=False)


@pytest.fixture
def settings(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {**environment(state), "RETRAINER_EXPORT__OUT": str(tmp_path / "served")}.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.full
def test_the_command_exports_the_champion_and_tells_where_it_lies(state: Path, tmp_path: Path) -> None:
    ended = run(state, "--out", str(tmp_path / "served"), "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["version"], told["warm_up_requests"], told["warm_up_rows"]) == (2, 9, "feature store")
    assert told["folder"] == str(folder_of(tmp_path / "served", MODEL, 2))
    assert (Path(told["folder"]) / "saved_model.pb").is_file()
    assert "writing the SavedModel ..." in ended.stderr


@pytest.mark.full
def test_the_command_says_what_is_wrong(state: Path, tmp_path: Path) -> None:
    without = run(state)
    assert (without.returncode, "RETRAINER_EXPORT__OUT" in without.stderr) == (2, True)
    unknown = run(state, "9", "--out", str(tmp_path / "served"))
    assert unknown.returncode == 1
    assert "has no version 9; it has 1, 2" in unknown.stderr
    assert versions_in(tmp_path / "served", MODEL) == []


@pytest.mark.full
def test_the_follower_keeps_the_champion_the_highest_version_after_a_rollback_too(
    state: Path, settings: Settings
) -> None:
    assert settings.export.out is not None
    out = settings.export.out
    with closing(open_ledger(settings.ledger.url)) as ledger:
        follower = next(one for one in followers_of(settings, ledger) if isinstance(one, ChampionFollower))
        follower.start()
        try:
            wait_until(lambda: versions_in(out, MODEL) == [2], 60, "the export of version 2")
            wait_until(lambda: (words_of([follower]) or {})["export"].startswith("version 2 is in "), 60, "its words")
            promote(ledger, 1)
            wait_until(lambda: versions_in(out, MODEL) == [1], 60, "the export of version 1")
            promote(ledger, 2)  # as it was, for the other tests
            wait_until(lambda: versions_in(out, MODEL) == [1, 2], 60, "the export of version 2")
        finally:
            follower.stop()


@pytest.mark.full
def test_an_export_that_is_given_up_leaves_no_version(settings: Settings, tmp_path: Path) -> None:
    exporter, failed = Exporter(settings, tmp_path / "served"), []

    def bring() -> None:
        try:
            exporter.bring(2)
        except NotBrought as error:
            failed.append(str(error))

    thread = threading.Thread(target=bring)
    thread.start()

    def given_up() -> bool:
        exporter.give_up()
        return not thread.is_alive()

    wait_until(given_up, 60, "the end of the export")
    assert failed == ["the export of version 2 ended with code -9 and no word"]
    assert versions_in(tmp_path / "served", MODEL) == []
