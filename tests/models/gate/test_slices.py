"""New, changed, unchanged: told as the champion sees its users, and the same however often a cycle is repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import schemas
from schemas.cycle import CycleKind, CycleRequest, Lineage, Slice
from schemas.manifest import ModelManifest
from tests.models.test_space import checked
from tests.worlds import GROUP, Row, World, names, trainer_settings
from trainer.gate.slices import note_newcomers, slices_of
from trainer.matrix.embeddings import Rows
from trainer.matrix.scaling import fit_space
from trainer.model import build
from trainer.opponents import LoadedVersion
from trainer.space import Space

GOLDEN = Path(schemas.__file__).parent / "golden" / "model_manifest.json"


class Story:
    """The space of champion c1 with users u0 to u29, and what happens to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World()
        self.rows = self.world.rows(names(30))
        self.info = fit_space("c1", GROUP, checked(self.rows).raw)
        self.space = Space.create(folder / "c1", self.info, GROUP)
        self.space.apply(checked(self.rows), [])
        self.space.finish("c1")
        self.model = build(self.info, GROUP, 0.0, 1e-3)
        self.champion = self.version("c1")

    def version(self, cycle_id: str) -> LoadedVersion:
        manifest = ModelManifest.model_validate_json(GOLDEN.read_bytes())
        return LoadedVersion(
            1, self.folder, manifest.model_copy(update={"cycle_id": cycle_id, "space": self.info}), self.model
        )

    def take(self, rows: dict[str, Row], champion: LoadedVersion | None = None) -> None:
        """What an incremental cycle does to the space."""
        note_newcomers(self.folder / "c1", champion or self.champion, self.space.matrix, list(rows))
        self.space.apply(checked(rows), [])

    def retrain(self, rows: dict[str, Row]) -> Space:
        """The space of a full retrain c2 that read `rows`."""
        info = fit_space("c2", GROUP, checked(rows).raw)
        space = Space.create(self.folder / "c2", info, GROUP)
        space.apply(checked(rows), [])
        return space

    def told(
        self, claimed: list[str], space: Space | None = None, champion: LoadedVersion | None = None
    ) -> dict[Slice, set[str]]:
        """The users of each slice, by name; every user is in one."""
        space = space or self.space
        keys, rows = space.matrix.users()
        names_of = dict(zip(rows.tolist(), keys, strict=True))
        found = slices_of(np.sort(rows), space, champion or self.champion, self.request(claimed), self.folder)
        assert_partition(found, rows)
        return {name: {names_of[row] for row in part.tolist()} for name, part in found.items()}

    def request(self, claimed: list[str]) -> CycleRequest:
        return CycleRequest(
            cycle_id="c2",
            kind=CycleKind.INCREMENTAL,
            reason="test",
            base_version=1,
            users=tuple(claimed),
            lineage=Lineage(offsets={}, changed_users=len(claimed)),
            settings=trainer_settings(self.folder),
        )


def assert_partition(found: dict[Slice, Rows], rows: Rows) -> None:
    assert list(found) == list(Slice)
    assert sorted(np.concatenate(list(found.values())).tolist()) == sorted(rows.tolist())


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_new_changed_and_unchanged(story: Story) -> None:
    story.take(story.world.rows(["u3", "u4", "u30", "u31"]))
    told = story.told(["u3", "u4", "u30", "u31", "gone"])
    assert told[Slice.NEW] == {"u30", "u31"}
    assert told[Slice.CHANGED] == {"u3", "u4"}
    assert len(told[Slice.UNCHANGED]) == 28


def test_a_cycle_that_is_repeated_still_knows_who_was_new(story: Story) -> None:
    rows = story.world.rows(["u3", "u30"])
    for _ in range(3):
        story.take(rows)
        assert story.told(["u3", "u30"])[Slice.NEW] == {"u30"}


def test_after_a_rejection_they_are_new_until_a_version_has_learned_them(story: Story) -> None:
    story.take(story.world.rows(["u30"]))
    story.take(story.world.rows(["u30", "u31"]))  # the next cycle claims the first one again
    assert story.told(["u30", "u31"])[Slice.NEW] == {"u30", "u31"}
    follower = story.version("c3")
    story.take(story.world.rows(["u30", "u32"]), follower)
    told = story.told(["u30", "u32"], champion=follower)
    assert (told[Slice.NEW], told[Slice.CHANGED]) == ({"u32"}, {"u30"})


def test_a_full_retrain_is_compared_with_the_space_of_the_champion(story: Story) -> None:
    story.take(story.world.rows(["u30"]))  # by a rejected cycle
    now = {**story.rows, **story.world.rows(["u5", "u30", "u31"])}  # u5 changed without being claimed
    del now["u0"]
    told = story.told(["u6", "u31"], story.retrain(now))
    assert told[Slice.NEW] == {"u30", "u31"}
    assert told[Slice.CHANGED] == {"u5", "u6"}
    assert len(told[Slice.UNCHANGED]) == 27


def test_where_the_space_of_the_champion_is_lost_the_claimed_are_changed(story: Story) -> None:
    retrained = story.retrain(story.world.rows(names(40)))
    (story.folder / "c1" / "space.json").unlink()
    told = story.told(["u5", "u35"], retrained)
    assert (told[Slice.NEW], told[Slice.CHANGED]) == (set(), {"u5", "u35"})


def test_without_a_champion_everybody_is_new(story: Story) -> None:
    rows = np.array([4, 1, 9])
    found = slices_of(rows, story.space, None, story.request([]), story.folder)
    assert_partition(found, rows)
    assert found[Slice.NEW].tolist() == [4, 1, 9]


def test_a_damaged_note_stops_nothing(story: Story) -> None:
    (story.folder / "c1" / "newcomers.json").write_text('{"champion": "c1"')
    story.take(story.world.rows(["u30"]))
    assert story.told(["u30"])[Slice.NEW] == {"u30"}
