"""The local registry after a crash: half a copy is nobody's version, and damage is seen before it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.test_model_registry import staged
from trainer.errors import RegistryError
from trainer.registry.local import LocalModelRegistry


def test_what_a_crash_left_half_copied_is_no_version(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    half = tmp_path / "registry" / "m" / ".incoming"
    half.mkdir()
    (half / "two_tower_model.keras").write_text("ha")
    assert registry.versions() == []
    assert registry.register(staged(tmp_path, "c1")).version == 1
    assert not half.exists()


def test_a_folder_without_a_manifest_keeps_its_number(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    (tmp_path / "registry" / "m" / "3").mkdir()
    assert registry.versions() == []
    assert registry.register(staged(tmp_path, "c1")).version == 4


def test_a_version_of_another_release_does_not_stand_in_the_way(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    registry.register(staged(tmp_path, "c1"))
    (tmp_path / "registry" / "m" / "1" / "manifest.json").write_text('{"format": 2}')
    assert registry.versions() == []
    assert registry.register(staged(tmp_path, "c2")).version == 2
    with pytest.raises(RegistryError, match="not a manifest of this release"):
        registry.fetch(1)


def test_damage_is_found_on_fetching(tmp_path: Path) -> None:
    registry = LocalModelRegistry(tmp_path / "registry", "m")
    registry.register(staged(tmp_path, "c1"))
    (tmp_path / "registry" / "m" / "1" / "two_tower_model.keras").write_text("rotten!")
    with pytest.raises(RegistryError, match="damaged or changed"):
        registry.fetch(1)
