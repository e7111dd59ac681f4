"""The registry shows the champion that the ledger names, whatever was cut short, and never an earlier promotion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.cluster import ClusterTrouble
from consumer.cycles import champion_mirror
from consumer.cycles.champion_file import NAME, write_champion
from consumer.cycles.champion_mirror import ChampionMirror, mirror_now, mirrored
from consumer.ledger.promotions import Promotion
from consumer.settings import Settings
from schemas.promotions import PromotionAction
from tests.waiting import wait_until


def promotion(number: int, version: int) -> Promotion:
    return Promotion(number, version, f"c{version}", PromotionAction.PROMOTE, "ann@host", "better", 5.0, None, None)


class Ledger:
    """The two things that a mirror asks of a ledger."""

    ledger_id = "here"

    def __init__(self, last: Promotion | None) -> None:
        self.now = last

    @property
    def promotions(self) -> Any:
        return self

    def last(self) -> Promotion | None:
        return self.now


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "registry" / "two_tower_recommender").mkdir(parents=True)
    return Settings(state_dir=tmp_path)


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.state_dir / "registry" / "two_tower_recommender"


@pytest.fixture
def cluster(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, hopsworks={"host": "h", "project": "p"})


def shown(folder: Path) -> Any:
    return json.loads((folder / NAME).read_text())


def test_the_file_tells_which_version_is_champion_since_when_by_whom_and_why(settings: Settings, folder: Path) -> None:
    assert mirrored(settings, "here", promotion(3, 7)) is None
    assert shown(folder) == {
        "version": 7,
        "cycle_id": "c7",
        "action": "promote",
        "by": "ann@host",
        "reason": "better",
        "at": "1970-01-01T00:00:05+00:00",
        "promotion": 3,
        "ledger": "here",
    }
    assert sorted(path.name for path in folder.iterdir()) == [".champion.lock", NAME]


def test_it_never_goes_back_to_an_earlier_promotion_of_the_same_ledger(folder: Path) -> None:
    write_champion(folder, "here", promotion(3, 7))
    write_champion(folder, "here", promotion(2, 6))
    assert shown(folder)["version"] == 7
    write_champion(folder, "recreated", promotion(1, 1))
    assert shown(folder)["version"] == 1


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"promotion": "9", "ledger": "here"}'])
def test_a_damaged_file_is_written_again(folder: Path, content: str) -> None:
    (folder / NAME).write_text(content)
    write_champion(folder, "here", promotion(3, 7))
    assert shown(folder)["version"] == 7


def test_a_registry_that_is_away_is_told_and_not_made(settings: Settings, folder: Path) -> None:
    folder.rmdir()
    assert "No such file" in (mirrored(settings, "here", promotion(3, 7)) or "")
    assert not folder.exists()


@pytest.fixture
def following(settings: Settings) -> Iterator[Callable[[Ledger], ChampionMirror]]:
    made: list[ChampionMirror] = []

    def follow(ledger: Ledger) -> ChampionMirror:
        made.append(ChampionMirror(settings, ledger))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield follow
    for mirror in made:
        mirror.stop()


def test_a_thread_makes_good_what_a_crash_left_and_what_somebody_removed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, following: Callable[[Ledger], ChampionMirror]
) -> None:
    monkeypatch.setattr(champion_mirror, "_IDLE", 0.01)
    ledger = Ledger(None)
    following(ledger)
    ledger.now = promotion(1, 5)
    wait_until((folder / NAME).exists, 10, "the file")
    ledger.now = promotion(2, 4)
    wait_until(lambda: shown(folder)["version"] == 4, 10, "the rollback")
    (folder / NAME).unlink()
    wait_until((folder / NAME).exists, 10, "the file again")


def test_a_command_mirrors_the_one_that_is_champion_by_then(monkeypatch: pytest.MonkeyPatch, cluster: Settings) -> None:
    ledger, tagged = Ledger(promotion(1, 5)), []

    def ask_cluster(_settings: Settings, question: str, version: str) -> Any:
        tagged.append((question, version))
        ledger.now = promotion(2, 6)  # promoted and tagged by another instance meanwhile

    monkeypatch.setattr(champion_mirror, "ask_cluster", ask_cluster)
    assert mirror_now(cluster, ledger) is None  # type: ignore[arg-type]
    assert tagged == [("mirror", "5"), ("mirror", "6")]


def test_what_a_cluster_refuses_is_tried_again_ever_more_seldom_and_at_once_for_the_next(
    monkeypatch: pytest.MonkeyPatch, cluster: Settings
) -> None:
    asked: list[str] = []

    def ask_cluster(_settings: Settings, _question: str, version: str) -> Any:
        asked.append(version)
        if version == "5":
            raise ClusterTrouble("away", again=True)
        return "no schema for it" if asked.count("6") < 2 else None

    monkeypatch.setattr(champion_mirror, "ask_cluster", ask_cluster)
    monkeypatch.setattr(champion_mirror, "_IDLE", 0.01)
    ledger = Ledger(promotion(1, 5))
    mirror = ChampionMirror(cluster, ledger)  # type: ignore[arg-type]
    mirror.start()
    wait_until(lambda: len(asked) == 3, 10, "three tries")
    ledger.now = promotion(2, 6)
    wait_until(lambda: asked.count("6") == 2, 10, "the next champion")
    mirror.stop()
    assert asked.count("6") == 2
