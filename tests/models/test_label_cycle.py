"""Cycles with pair labels, through the real trainer: taken in, kept as a full read would, probed, held."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

from schemas.cycle import CycleKind, CycleRequest, CycleResult, Lineage, Outcome, Step
from schemas.features import Column, FeatureGroup
from schemas.guard import GuardName
from schemas.labels import LabelGroup, PairKey
from schemas.policies import Objective
from stores.features.local import LocalFeatureStore
from stores.labels.local import Label, LocalLabelStore
from stores.labels.reading import read_all
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.labels.book import LabelBook
from trainer.run import run_cycle

LABELS = LabelGroup()


class Site:
    """A store of 200 users and of the follows among them, a registry, and a way to run cycles on both."""

    def __init__(self, folder: Path, labels: LabelGroup = LABELS) -> None:
        settings = trainer_settings(folder)
        self.settings = settings.model_copy(update={"labels": labels})
        self.world = World()
        self.store = LocalFeatureStore(folder / "store.db", GROUP)
        self.labels = LocalLabelStore(folder / "store.db", labels)
        self.store.commit(self.world.rows(names(200)))
        self.labels.commit(follows(names(200), 3))
        self.spaces = folder / "work" / "spaces"

    def run(
        self, cycle_id: str, kind: CycleKind, users: Iterable[str] = (), labels: Iterable[PairKey] = (), **more: Any
    ) -> CycleResult:
        base = None if kind is CycleKind.BOOTSTRAP else more.pop("base", 1)
        request = CycleRequest(
            cycle_id=cycle_id,
            kind=kind,
            reason="the test says so",
            base_version=base,
            users=tuple(users),
            labels=tuple(labels),
            lineage=Lineage(offsets={"t": {0: (0, 7)}}, changed_users=0),
            settings=more.pop("settings", self.settings),
            **more,
        )
        result = run_cycle(request, lambda _: None, lambda: False)
        assert result is not None
        return result

    def book(self) -> dict[PairKey, tuple[bool, float, float]]:
        (space,) = self.spaces.iterdir()
        with closing(LabelBook(space)) as book:
            return book.labels()


def follows(users: list[str], each: int, seed: int = 0) -> dict[PairKey, Label]:
    """Everybody follows so many others, drawn at random."""
    generator = np.random.default_rng(seed)
    pairs = [(user, users[other]) for user in users for other in generator.choice(len(users), each, replace=False)]
    return {(user, other): Label("follow", 1_000.0) for user, other in pairs if user != other}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    found = Site(tmp_path_factory.mktemp("site"))
    assert found.run("c1", CycleKind.BOOTSTRAP).outcome is Outcome.REGISTERED
    return found


def test_a_bootstrap_reads_all_labels_and_the_manifest_tells(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.labels.commit({("u1", "nobody"): Label("follow", 1.0), ("u2", "u3"): Label("adore", 1.0)})
    result = site.run("c1", CycleKind.BOOTSTRAP)
    assert result.outcome is Outcome.REGISTERED, result.reason
    told = result.labels
    assert told is not None
    assert (told.waiting, told.refused_total, told.set_aside) == (1, 1, 0)
    assert told.refused == {
        '["u2","u3"]': "label is 'adore', neither 1 nor 0 nor one of follow, accept, dismiss, block"
    }
    assert told.known == told.accepted == len(site.book())
    assert 0 < told.held_out < told.positives < told.accepted  # some follow each other, some are held out
    assert Step.PROBE in result.seconds
    assert result.probe is None


def test_after_changes_the_book_is_what_a_full_read_gives(site: Site) -> None:
    pairs = list(follows(names(200), 3))
    site.labels.commit(
        {
            pairs[0]: Label("dismiss", 2_000.0),
            pairs[3]: Label("adore", 2_000.0),
            ("u5", "later"): Label("follow", 1.0),
            ("u6", "u6"): Label(1, None),
        },
        [pairs[1], pairs[2]],
    )
    changed = [*pairs[:4], ("u5", "later"), ("u6", "u6"), ("u7", "never")]
    result = site.run("c2", CycleKind.INCREMENTAL, ["u1"], changed)
    assert result.labels is not None
    assert (result.labels.accepted, result.labels.deleted, result.labels.refused_total) == (2, 3, 2)
    after = site.book()
    assert after[pairs[0]] == (False, 1.0, 2_000.0)
    assert not {*pairs[1:4], ("u6", "u6")} & after.keys()  # one that became unreadable is forgotten, too
    again = site.run("c2", CycleKind.INCREMENTAL, ["u1"], changed)
    assert again.labels == result.labels
    assert site.book() == after
    full = read_all(site.labels, LABELS, (), lambda _: None)
    values = zip(full.positive.tolist(), full.weight.tolist(), full.at.tolist(), strict=True)
    assert after == dict(zip(full.pairs, values, strict=True))


def test_a_claim_of_labels_alone_is_a_cycle(site: Site) -> None:
    new = follows(names(200), 2, seed=5)
    site.labels.commit(new)
    result = site.run("c4", CycleKind.INCREMENTAL, (), new)
    assert result.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}, result.reason
    assert result.probe is not None
    assert result.probe.labels > 100
    assert result.probe.auc is not None
    assert result.probe.regret is None  # nobody changed, and by the objective labels decide nothing


def test_what_is_pending_is_probed_and_nothing_is_touched(site: Site) -> None:
    rows = site.world.rows(names(60))
    site.store.commit(rows)
    before, book = _files(site.spaces), site.book()
    result = site.run("probe", CycleKind.INCREMENTAL, rows, [("u1", "u2")], only_probe=True)
    assert result.outcome is Outcome.PROBED, result.reason
    assert result.probe is not None
    assert (result.probe.users, result.version) == (60, None)
    assert result.probe.regret is not None
    assert _files(site.spaces) == before
    assert site.book() == book
    assert len(list(site.spaces.iterdir())) == 1


def test_what_a_probe_that_was_killed_left_behind_goes_with_the_next_cycle(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _folders(site.spaces.parent)
    with monkeypatch.context() as killed:
        killed.setattr("trainer.gate.pending_probe.TemporaryDirectory", lambda **where: nullcontext(mkdtemp(**where)))
        assert site.run("probe", CycleKind.INCREMENTAL, ["u1"], only_probe=True).outcome is Outcome.PROBED
    assert len(_folders(site.spaces.parent) - before) > 1
    after = site.run("c5", CycleKind.INCREMENTAL, names(60))
    assert after.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}, after.reason
    assert {folder for folder in _folders(site.spaces.parent) if "probe-" in str(folder)} == set()


@pytest.mark.full
def test_where_nothing_is_lost_the_changes_are_settled_without_a_fit(site: Site) -> None:
    rows = site.world.rows(names(60))
    site.store.commit(rows)
    settled = site.run("c6", CycleKind.INCREMENTAL, rows, settle_below=1.0)
    assert settled.outcome is Outcome.UNCHANGED
    assert settled.reason.startswith("not trained: on what has changed since, version 1 has")
    assert Step.FIT not in settled.seconds
    assert settled.known_users == 200
    trained = site.run("c7", CycleKind.INCREMENTAL, rows, settle_below=-1.0)
    assert Step.FIT in trained.seconds
    gone = site.run("c7b", CycleKind.INCREMENTAL, rows, [("u1", "nobody")], settle_below=1.0)
    assert Step.FIT in gone.seconds  # of what was deleted no champion can be asked


@pytest.mark.full
def test_a_group_whose_labels_are_gone_or_unreadable_is_held(site: Site) -> None:
    pairs = list(site.book())
    renamed = site.settings.model_copy(update={"labels": LABELS.model_copy(update={"words": {"like": True}})})
    unreadable = site.run("c8", CycleKind.INCREMENTAL, (), pairs, settings=renamed)
    assert unreadable.outcome is Outcome.HELD
    assert "RETRAINER_GUARD__REFUSED_LABELS" in unreadable.reason
    assert "RETRAINER_LABELS__WORDS" in (unreadable.way_out or "")
    site.labels.commit({}, pairs[: len(pairs) // 2])
    lost = site.run("c9", CycleKind.INCREMENTAL, (), pairs[: len(pairs) // 2])
    assert lost.outcome is Outcome.HELD
    assert lost.guard is not None
    assert [one.name for one in lost.guard.holding] == [GuardName.LOST_LABELS]
    assert set(site.book()) == set(pairs)  # held before the book was touched
    accepted = site.run("c10", CycleKind.INCREMENTAL, (), pairs[: len(pairs) // 2], accept=(GuardName.LOST_LABELS,))
    assert accepted.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}, accepted.reason


@pytest.mark.full
def test_a_label_group_that_was_added_later_is_read_whole(tmp_path: Path) -> None:
    site = Site(tmp_path)
    without = site.settings.model_copy(update={"labels": None})
    site.run("c1", CycleKind.BOOTSTRAP, settings=without)
    for cycle_id in ("c2", "c4"):
        result = site.run(cycle_id, CycleKind.INCREMENTAL, ["u1"])
        assert result.labels is not None
        assert result.labels.accepted == len(follows(names(200), 3))
        site.run("c3", CycleKind.INCREMENTAL, ["u1"], settings=without)  # meanwhile nobody hears of labels


def _folders(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_dir()}


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".db-shm", ".db-wal"}
    }


class Scenes:
    """Users who follow each other by a scene, of which the features show a part; the rest of them is noise."""

    def __init__(self, folder: Path, users: int = 500, seed: int = 3) -> None:
        self._generator = np.random.default_rng(seed)
        self.users = names(users)
        scenes = np.eye(10)[self._generator.integers(10, size=users)]
        traits = np.hstack([0.3 * scenes, 0.3 * self._generator.normal(size=(users, 30))])
        group = FeatureGroup(name="scenes", columns=(Column(name="traits", length=40),))
        settings = trainer_settings(folder, group)
        self.settings = settings.model_copy(
            update={
                "labels": LABELS,
                "pairs": settings.pairs.model_copy(update={"similarity_threshold": 0.35}),
                "fit": settings.fit.model_copy(update={"objective": Objective.OUTCOMES, "batch_labels": 256}),
                "gate": settings.gate.model_copy(update={"register_unchanged": False}),
            }
        )
        self.same = (scenes @ scenes.T).astype(bool)
        with closing(LocalFeatureStore(folder / "store.db", group)) as store:
            rows = traits.astype(np.float32)
            store.commit({user: {"traits": row} for user, row in zip(self.users, rows, strict=True)})
        self.labels = LocalLabelStore(folder / "store.db", LABELS)

    def wave(self, each: int, *, spam: bool = False) -> dict[PairKey, Label]:
        """Everybody follows so many of the own scene; as spam, so many of others."""
        found: dict[PairKey, Label] = {}
        for row, user in enumerate(self.users):
            fit = np.flatnonzero(~self.same[row] if spam else self.same[row])
            some = self._generator.choice(fit[fit != row], each)
            found |= {(user, self.users[other]): Label("follow", 1.0) for other in some}
        self.labels.commit(found)
        return found


@pytest.mark.full
def test_what_users_did_is_learned_and_spam_is_regretted(tmp_path: Path) -> None:
    world = Scenes(tmp_path)
    site = Site.__new__(Site)
    site.settings = world.settings
    world.wave(3)
    first = site.run("c1", CycleKind.BOOTSTRAP)
    assert first.outcome is Outcome.REGISTERED, first.reason
    assert first.gate is not None
    assert first.gate.challenger is not None
    assert first.gate.judged_by == "outcomes"
    auc = [first.gate.challenger.outcome_auc]
    new = world.wave(4)
    second = site.run("c2", CycleKind.INCREMENTAL, (), new)
    assert second.probe is not None
    assert second.gate is not None
    assert second.gate.challenger is not None
    assert second.outcome is Outcome.REGISTERED, second.reason
    auc += [second.probe.auc, second.gate.challenger.outcome_auc]
    told = [figure for figure in auc if figure is not None]
    assert told == sorted(told)
    assert told[-1] > told[0] + 0.01
    spam = world.wave(8, spam=True)
    third = site.run("probe", CycleKind.INCREMENTAL, (), spam, base=2, only_probe=True)
    assert third.probe is not None
    assert third.probe.regret is not None
    assert third.probe.regret > 0.1


def test_too_few_labels_to_judge_by_are_not_learned(tmp_path: Path) -> None:
    world = Scenes(tmp_path, users=300)
    site = Site.__new__(Site)
    site.settings = world.settings
    few = {("u0", "u1"): Label("follow", 1.0), ("u2", "u3"): Label("follow", 1.0)}
    world.labels.commit(few)
    result = site.run("c1", CycleKind.BOOTSTRAP)
    assert result.fit is not None
    assert result.fit.note is not None
    assert result.fit.note.endswith("what cannot be judged is not learned")
    assert result.outcome is Outcome.REGISTERED, result.reason
