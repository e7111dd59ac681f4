"""Data that are not believed, through the real trainer: held, tried again, mended or accepted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from schemas.cycle import CycleKind, CycleResult, Lineage, Outcome, TrainerSettings
from schemas.guard import Finding, GuardName
from tests.models.test_cycle import Bench, template
from tests.worlds import GROUP, Row, names
from trainer.space import Space

__all__ = ["template"]  # the folder in which cycle c1 has registered version 1, of users u0 to u399


class Site(Bench):
    """A bench that claims as the ledger does: whoever changed since a cycle was settled, each time."""

    def __init__(self, folder: Path, template: Path) -> None:
        super().__init__(folder, template)
        self.pending: dict[str, None] = {}
        self.settled = "c1"
        self.base = 1
        self.number = 1

    def change(self, rows: dict[str, Row], deletes: list[str] | None = None) -> None:
        """Change users in the store, and let the ledger hear of it."""
        self.store.commit(rows, deletes or [])
        self.pending |= dict.fromkeys([*rows, *(deletes or [])])

    def cycle(self, *accept: GuardName, kind: CycleKind = CycleKind.INCREMENTAL) -> CycleResult:
        """Run a cycle over all that is pending."""
        self.number += 1
        request = self.request(f"c{self.number}", kind, list(self.pending), self.base)
        result = self.run(request.model_copy(update={"accept": accept, "last_promoted_cycle": self.settled}))
        if result.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}:
            self.pending, self.settled, self.base = {}, request.cycle_id, result.version or self.base
        return result

    def rotten(self, users: list[str]) -> dict[str, Row]:
        """Rows of an upstream bug."""
        return {user: row | {"taste": np.full(8, np.nan, np.float32)} for user, row in self.world.rows(users).items()}


def noise(count: int) -> dict[str, Row]:
    """Sound rows of users who have nothing in common."""
    drawn = np.random.default_rng(5).normal(size=(count, 14)).astype(np.float32)
    rows = zip(names(count), drawn, strict=True)
    return {user: {"taste": row[:8], "habit": row[8:13], "year": 1990 + 8 * row[13:]} for user, row in rows}


@pytest.fixture
def site(tmp_path: Path, template: Path) -> Iterator[Site]:
    made = Site(tmp_path, template)
    yield made
    made.store.close()


def finding(result: CycleResult, name: GuardName) -> Finding:
    assert result.guard is not None
    (found,) = (one for one in result.guard.findings if one.name is name)
    return found


def held_for(result: CycleResult) -> set[GuardName]:
    """Why a cycle is held; nothing was learned or registered."""
    assert (result.outcome, result.version, result.fit, result.gate) == (Outcome.HELD, None, None, None), result
    assert result.guard is not None
    assert result.way_out is not None
    assert all(f"--accept {one.name.name}" in result.way_out for one in result.guard.holding)
    return {one.name for one in result.guard.holding}


def test_half_of_the_rows_gone_bad_are_held_as_often_as_they_are_tried(site: Site) -> None:
    site.change(site.rotten(names(200)))
    first = site.cycle()
    assert held_for(first) == {GuardName.REFUSED_SHARE, GuardName.LOST_SHARE}
    assert "of 200 users read 100 % were refused, more than the limit of 10 %" in first.reason
    assert "taste has a number that is not finite" in first.reason
    assert "of 400 users known before 50 % are there no more" in first.reason
    site.change(site.world.rows(names(1, start=399)))
    assert held_for(site.cycle()) == {GuardName.REFUSED_SHARE, GuardName.LOST_SHARE}
    assert len(site.registry.versions()) == 1

    site.change(site.world.rows(names(200)))
    mended = site.cycle()
    assert mended.outcome is not Outcome.HELD, mended.reason
    assert mended.pairs is not None
    assert mended.pairs.users == 400
    assert not finding(mended, GuardName.LOST_SHARE).exceeded


@pytest.mark.full
def test_deletions_that_are_accepted_go_on_and_are_on_record(site: Site) -> None:
    site.change(site.world.rows(names(5, start=390)), names(267))
    assert held_for(site.cycle()) == {GuardName.DELETED_SHARE, GuardName.LOST_SHARE}
    assert held_for(site.cycle(GuardName.DELETED_SHARE)) == {GuardName.LOST_SHARE}
    result = site.cycle(GuardName.DELETED_SHARE, GuardName.LOST_SHARE)
    assert result.outcome is not Outcome.HELD, result.reason
    assert finding(result, GuardName.LOST_SHARE).accepted
    assert finding(result, GuardName.LOST_SHARE).figure == 267 / 400
    assert finding(result, GuardName.LOST_PAIRS).accepted
    if result.version is not None:
        (*_, last) = site.registry.versions()
        assert last.manifest.guard_report == result.guard

    again = site.cycle()  # nobody accepts it this time
    if result.version is None:
        assert held_for(again) == {GuardName.DELETED_SHARE, GuardName.LOST_SHARE}
    else:
        assert again.outcome is not Outcome.HELD


@pytest.mark.full
def test_damage_that_a_refused_cycle_left_in_the_space_still_counts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try adds less than the limit, and the space has taken in what the tries before it deleted."""
    site.change({}, names(100))
    with monkeypatch.context() as patch:
        patch.setattr("trainer.cycle.Cycle._base", refuse)
        assert site.cycle().outcome is Outcome.FAILED  # after the space was changed
    site.change({}, names(60, start=100))
    result = site.cycle()
    assert held_for(result) == {GuardName.DELETED_SHARE, GuardName.LOST_SHARE}
    assert finding(result, GuardName.DELETED_SHARE).figure == 160 / 400
    site.change(site.world.rows(names(80)))  # they come back
    assert finding(site.cycle(), GuardName.LOST_SHARE).figure == 80 / 400


def refuse(*_: object) -> None:
    raise RuntimeError("stopped after the pairs")


def test_lost_pairs_are_measured_from_what_was_settled_last(site: Site) -> None:
    """The rows are sound, but like nobody: seen once the pairs are there, so the space has taken them in."""
    before = site.registry.versions()[0].manifest.pair_report.after
    site.change(noise(360))
    first = site.cycle()
    assert held_for(first) == {GuardName.LOST_PAIRS}
    site.change(site.world.rows(names(1, start=399)))
    second = site.cycle()
    assert held_for(second) == {GuardName.LOST_PAIRS}
    assert finding(second, GuardName.LOST_PAIRS).of == finding(first, GuardName.LOST_PAIRS).of == before
    info = site.registry.versions()[0].manifest.space
    space = Space.open(site.settings.work_dir / "spaces" / info.space_id, info, GROUP, "c1")
    assert space is not None
    assert space.pairs_after("c3", site.settings.pairs) == second.pairs.after if second.pairs else False
    assert space.pairs_after("c3", site.settings.pairs.model_copy(update={"similarity_threshold": 0.7})) is None
    space.close()


@pytest.mark.full
def test_somebody_who_embeds_everybody_anew_is_seen_half_way(site: Site) -> None:
    turned = {user: row | {"taste": -row["taste"]} for user, row in site.world.rows(names(200)).items()}
    site.change(turned)
    unheard = {user: row | {"taste": -row["taste"]} for user, row in site.world.rows(names(150, start=200)).items()}
    site.store.commit(unheard)
    result = site.cycle()
    assert GuardName.MOVED_SHARE in held_for(result)
    assert finding(result, GuardName.MOVED_SHARE).figure == 150 / 200
    assert "150 differ, 0 are gone, 0 are unsound" in result.reason
    site.pending |= dict.fromkeys(unheard)  # the other events have come
    assert not finding(site.cycle(), GuardName.MOVED_SHARE).exceeded


def aged(site: Site, years: float) -> dict[str, Row]:
    stored = site.store.read(names(400))
    columns = {name: dict(zip(stored.keys, blocks, strict=True)) for name, blocks in stored.columns.items()}
    rows: dict[str, Row] = {}
    for user in stored.keys:
        row = {name: block for name, blocks in columns.items() if (block := blocks[user]) is not None}
        rows[user] = row | {"year": row["year"] + np.float32(years)}
    return rows


@pytest.mark.full
def test_a_scalar_that_drifts_asks_for_a_full_retrain_and_one_that_has_left_is_held(site: Site) -> None:
    deviation = site.registry.versions()[0].manifest.space.scalars["year"].variance ** 0.5
    site.change(aged(site, deviation))
    first = site.cycle()
    assert first.outcome is not Outcome.HELD, first.reason
    assert first.asks_full is not None
    assert first.asks_full.startswith("year has moved by +0.9")
    site.change(aged(site, 9 * deviation))
    assert GuardName.OUTLIER_SHARE in held_for(site.cycle())
    second = site.cycle(kind=CycleKind.FULL)
    assert GuardName.OUTLIER_SHARE in held_for(second)
    assert second.asks_full is None
    full = site.cycle(GuardName.OUTLIER_SHARE, kind=CycleKind.FULL)
    assert full.outcome is not Outcome.HELD, full.reason


def test_a_full_retrain_is_measured_by_the_champion_s_users(site: Site) -> None:
    site.change(site.rotten(names(100)), names(80, start=100))
    result = site.cycle(kind=CycleKind.FULL)
    assert held_for(result) == {GuardName.REFUSED_SHARE, GuardName.LOST_SHARE}
    assert finding(result, GuardName.REFUSED_SHARE).of == 320
    assert finding(result, GuardName.DELETED_SHARE).figure == 80 / 400
    assert finding(result, GuardName.LOST_SHARE).figure == 180 / 400
    assert [folder.name for folder in (site.settings.work_dir / "spaces").iterdir()] == ["c1"]

    elsewhere = site.settings.model_copy(update={"work_dir": site.registry_folder.parent / "elsewhere"})
    for kind in (CycleKind.FULL, CycleKind.INCREMENTAL):  # without the champion's space its manifest tells how many
        alone = site.run(site.request(f"d-{kind}", kind, list(site.pending), 1, settings=elsewhere))
        assert GuardName.LOST_SHARE in held_for(alone)
        assert finding(alone, GuardName.LOST_SHARE).figure == 180 / 400


def test_ordinary_life_is_not_held(site: Site) -> None:
    far = site.world.rows(names(40, start=400))
    for row in far.values():
        row["taste"] = np.roll(row["taste"], 3)
    site.change({**far, **site.world.rows(names(20)), **site.rotten(names(2, start=50))}, names(20, start=300))
    site.store.commit(site.world.rows(names(10, start=200)))  # their events are on their way
    result = site.cycle()
    assert result.outcome is not Outcome.HELD, result.reason
    assert result.guard is not None
    assert {one.name for one in result.guard.findings} >= {
        GuardName.REFUSED_SHARE,
        GuardName.DELETED_SHARE,
        GuardName.LOST_SHARE,
        GuardName.LOST_PAIRS,
        GuardName.SIMILAR_SHARE,
        GuardName.MEAN_Z,
        GuardName.OUTLIER_SHARE,
        GuardName.OUTSIDE_ENERGY,
        GuardName.MOVED_SHARE,
    }
    assert result.asks_full is None


def beginning(folder: Path, rows: dict[str, Row]) -> CycleResult:
    bench = Bench(folder)
    bench.store.commit(rows, [user for user in names(400) if user not in rows])
    try:
        return bench.run(bench.request("c1", CycleKind.BOOTSTRAP))
    finally:
        bench.store.close()


def test_a_beginning_with_bad_rows_or_with_users_all_alike_is_held(tmp_path: Path, site: Site) -> None:
    bad = beginning(tmp_path / "bad", {**site.world.rows(names(200)), **site.rotten(names(100, start=200))})
    assert held_for(bad) == {GuardName.REFUSED_SHARE}
    alike = beginning(tmp_path / "alike", dict.fromkeys(names(400), site.world.row()))
    assert held_for(alike) == {GuardName.SIMILAR_SHARE}
    assert "of all pairs of 400 users 100 % are similar" in alike.reason
    taste, habit = (np.concatenate([np.eye(of), -np.eye(of)]).astype(np.float32) for of in (8, 5))
    year = np.full(1, 2000, np.float32)
    apart = {
        user: {"taste": taste[at % 16], "habit": habit[at // 16], "year": year} for at, user in enumerate(names(40))
    }
    lonely = beginning(tmp_path / "lonely", apart)
    assert held_for(lonely) == {GuardName.SIMILAR_SHARE}
    assert lonely.reason == "of all pairs of 40 users none is similar"


def settings_of(site: Site, **limits: float) -> TrainerSettings:
    return site.settings.model_copy(update={"guard": site.settings.guard.model_copy(update=limits)})


def test_a_limit_is_a_setting(site: Site) -> None:
    site.change({}, names(20))
    request = site.request(
        "c2", CycleKind.INCREMENTAL, list(site.pending), 1, settings=settings_of(site, lost_share=0.01)
    )
    assert held_for(site.run(request)) == {GuardName.LOST_SHARE}
    assert request.lineage == Lineage(offsets={"t": {0: (0, 7)}}, changed_users=20)
