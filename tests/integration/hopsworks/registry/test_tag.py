"""The champion's tag, which is for people: it follows the ledger and decides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.errors import ClusterUnreachable, RegistryError
from stores.hopsworks.models import Entry, Models
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from tests.contract.test_model_registry import staged
from tests.hopsworks_double import HopsworksDouble, LoseReply, Status
from tests.hopsworks_double.clients.registries import MODEL, SETTINGS, fail, put_entry


def champions(double: HopsworksDouble) -> dict[str, str]:
    return {
        entry: tags[SETTINGS.tag]["cycle_id"] for entry, tags in double.registry.tags.items() if SETTINGS.tag in tags
    }


def test_the_tag_moves_with_the_champion(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    double.registry.tag_schemas.add(SETTINGS.tag)
    for number in range(3):
        registry.register(staged(tmp_path, f"c{number}"))
    put_entry(double, 9, "somebody's")
    double.registry.tags[f"{MODEL}_9"][SETTINGS.tag] = {"cycle_id": "theirs"}
    theirs = {f"{MODEL}_9": "theirs"}
    assert registry.mirror_champion(1) is None
    assert champions(double) == {f"{MODEL}_1": "c0"} | theirs
    fail(double, "^DELETE .*/tags/", LoseReply())
    assert registry.mirror_champion(3) is None
    assert champions(double) == {f"{MODEL}_3": "c2"} | theirs
    assert registry.mirror_champion(3) is None
    assert champions(double) == {f"{MODEL}_3": "c2"} | theirs
    with pytest.raises(RegistryError, match="no version 9; it has 1, 2, 3"):
        registry.mirror_champion(9)


def test_without_a_schema_for_the_tag_it_is_noted_and_nothing_fails(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(staged(tmp_path, "c1"))
    assert "no schema for a tag retrainer" in (registry.mirror_champion(1) or "")
    double.registry.tag_schemas.add(SETTINGS.tag)
    fail(double, "^PUT .*/tags/", Status(400, 370005, "the value does not fit the schema"))
    assert "does not fit the schema" in (registry.mirror_champion(1) or "")
    fail(double, "^PUT .*/tags/", Status(503), times=None)
    with pytest.raises(ClusterUnreachable):
        registry.mirror_champion(1)


def test_of_many_versions_only_those_are_asked_that_may_bear_the_tag(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a request of its own, and there may be thousands."""
    monkeypatch.setattr("stores.registry.hopsworks.registry._ASKED", 1)
    double.registry.tag_schemas.add(SETTINGS.tag)
    for number in range(5):
        registry.register(staged(tmp_path, f"c{number}"))
    assert registry.mirror_champion(1) is None
    asked: list[int] = []
    untag = Models.untag

    def counted(models: Models, entry: Entry, name: str) -> None:
        asked.append(entry.version)
        untag(models, entry, name)

    monkeypatch.setattr(Models, "untag", counted)
    assert registry.mirror_champion(4) is None
    assert asked == [1, 5]
    assert champions(double) == {f"{MODEL}_4": "c3"}
