"""The champion's tag follows the ledger, even where whoever tags it was stalled and is not the last to promote one."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.cycles import champion_tag
from consumer.settings import Settings


def test_who_was_stalled_while_it_tagged_tags_the_one_that_is_champion_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    champion, tagged = [5], []

    def ask_cluster(_settings: Settings, question: str, version: str) -> Any:
        tagged.append((question, version))
        champion[0] = 6  # promoted and tagged by another instance meanwhile

    monkeypatch.setattr(champion_tag, "ask_cluster", ask_cluster)
    champion_tag._mirror(Settings(), lambda: champion[0])
    assert tagged == [("mirror", "5"), ("mirror", "6")]


def test_what_is_not_champion_any_more_is_not_tagged(monkeypatch: pytest.MonkeyPatch) -> None:
    tagged: list[str] = []
    monkeypatch.setattr(champion_tag, "ask_cluster", lambda _settings, _question, version: tagged.append(version))
    champion_tag._mirror(Settings(), lambda: 6)
    assert tagged == ["6"]


def test_a_registry_that_takes_no_tag_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask_cluster(_settings: Settings, _question: str, version: str) -> str:
        asked.append(version)
        return "no schema for it"

    monkeypatch.setattr(champion_tag, "ask_cluster", ask_cluster)
    champion_tag._mirror(Settings(), lambda: 6)
    assert asked == ["6"]
