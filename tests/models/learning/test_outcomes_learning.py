"""Learning from labels: what a batch holds, what its loss is, that it learns what features do not say, and P5."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.cycle import FitReport, TrainerSettings
from schemas.features import Column, FeatureGroup
from schemas.policies import FitPolicy, Objective, PairPolicy
from stores.features.checks import CheckedRows
from tests.worlds import trainer_settings
from trainer.labels.outcomes import Outcomes
from trainer.labels.partners import Partners
from trainer.learning.fit import Epoch, TrainingData, fit
from trainer.learning.initial_weights import set_initial_weights
from trainer.learning.label_batches import label_batch_count, label_batches
from trainer.learning.label_data import LEAST_LABELS, LabelData
from trainer.learning.label_loss import outcome_logits, outcome_loss, refusal_loss
from trainer.matrix.population import Population, populate
from trainer.matrix.scaling import fit_space
from trainer.matrix.split import Part
from trainer.model import TwoTower, build
from trainer.space import Space

_WIDTH, _USERS, _SCENES = 24, 400, 4
_GROUP = FeatureGroup(name="planted", columns=(Column(name="embedding", length=_WIDTH),))
_POLICY = FitPolicy(objective=Objective.OUTCOMES, min_replay_labels=200, learning_rate=3e-3, dev_users=64)


@dataclass(frozen=True, slots=True)
class _World:
    """Users who follow each other by a scene of which their features show little."""

    space: Space
    population: Population
    settings: TrainerSettings
    outcomes: Outcomes

    def data(self, outcomes: Outcomes, changed: NDArray[np.int64] | None = None, **policy: object) -> TrainingData:
        settings = self.settings.model_copy(update={"fit": _POLICY.model_copy(update=policy)})
        return TrainingData.of(self.space, self.population, changed, settings, 1, outcomes)

    def model(self) -> TwoTower:
        keras.utils.set_random_seed(1)
        model = build(self.space.info, _GROUP, 0.0, 1e-3)
        set_initial_weights(model, self.space.matrix.directions, self.population.of(Part.TRAIN), 0.8)
        return model

    def learned(self, model: TwoTower, data: TrainingData, *, warm: bool = False, **policy: object) -> FitReport:
        rules = _POLICY.model_copy(update=policy)
        return fit(model, data, rules, epochs=6, learning_rate=1.0, seed=1, warm_start=warm, on_epoch=lambda _: None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> _World:
    draw = np.random.default_rng(0)
    scene = draw.integers(_SCENES, size=_USERS)
    rows = draw.normal(size=(_USERS, _WIDTH)).astype(np.float32)
    rows[:, _SCENES:] *= 2.0  # so that the cosine hardly shows the scene
    rows[:, :_SCENES] += 2.0 * np.eye(_SCENES, dtype=np.float32)[scene]
    settings = trainer_settings(tmp_path_factory.mktemp("planted")).model_copy(
        update={"feature_group": _GROUP, "fit": _POLICY, "pairs": PairPolicy(similarity_threshold=0.3)}
    )
    space = Space.create(settings.work_dir / "s", fit_space("s", _GROUP, rows), _GROUP)
    space.apply(CheckedRows([f"u{number:04d}" for number in range(_USERS)], rows, {}), [])
    space.update_pairs(settings.pairs, lambda _done, _of: None)
    population = populate(space.matrix, settings.split)
    return _World(space, population, settings, _outcomes(scene, population.part, draw))


def _outcomes(scene: NDArray[np.int64], part: NDArray[np.int8], draw: np.random.Generator) -> Outcomes:
    pairs = np.sort(draw.integers(_USERS, size=(30_000, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    same = scene[pairs[:, 0]] == scene[pairs[:, 1]]
    chance = draw.random(len(pairs))
    said = np.where(same, chance < 0.3, chance < 0.03)
    pairs, same = pairs[said], same[said]
    return Outcomes(
        pairs=pairs,
        positive=same,
        weight=np.ones(len(pairs), dtype=np.float32),
        part=part[pairs].max(axis=1),
        changed=np.zeros(len(pairs), dtype=bool),
        directed=False,
    )


def _labels(world: _World, outcomes: Outcomes | None = None, policy: FitPolicy = _POLICY) -> LabelData:
    known = world.outcomes if outcomes is None else outcomes
    return LabelData.of(known, world.space.matrix.directions, world.population, None, policy, 1)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.booleans(),
)
def test_who_is_known_in_a_batch_is_who_is_in_the_labels(
    pairs: list[tuple[int, int]], users: list[int], others: list[int], directed: bool
) -> None:
    partners = Partners(np.array(pairs, dtype=np.int64).reshape(-1, 2), 10, directed=directed)
    said = set(pairs) | (set() if directed else {(b, a) for a, b in pairs})
    found = partners.among(np.array(users), np.array(others))
    assert found.tolist() == [[(a, b) in said or a == b for b in others] for a in users]


def test_an_epoch_has_every_positive_label_once_and_nobody_known_as_a_stranger(world: _World) -> None:
    labels = _labels(world)
    positives = labels.new.pairs[labels.new.positive]
    batches = list(label_batches(labels, _POLICY, np.random.default_rng(0)))
    assert len(batches) == label_batch_count(labels.positives, _POLICY) >= 6
    seen = np.concatenate([np.sort(np.stack([batch.users, batch.others], axis=1), axis=1) for batch in batches])
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, positives.tolist()))
    said = set(map(tuple, positives.tolist()))
    for batch in batches:
        assert (world.population.part[np.concatenate([batch.users, batch.others])] == Part.TRAIN).all()
        for row, column in np.argwhere(~batch.known):
            pair = sorted((int(batch.users[row]), int(batch.others[column])))
            assert row == column or tuple(pair) not in said


@pytest.mark.parametrize("hard", [0, 1, 2])
def test_a_batch_has_no_more_hard_negatives_than_are_allowed_for_each_positive(world: _World, hard: int) -> None:
    few = replace(world.outcomes, positive=world.outcomes.positive & (np.arange(len(world.outcomes)) % 10 == 0))
    policy = _POLICY.model_copy(update={"hard_negatives": hard})
    labels = _labels(world, few, policy)
    for batch in label_batches(labels, policy, np.random.default_rng(0)):
        assert len(batch.refused) <= hard * len(batch.users)
        assert (world.population.part[batch.refused] == Part.TRAIN).all()


def test_a_known_pair_has_no_probability() -> None:
    known = np.array([[False, True, False], [False, False, False], [True, True, False]])
    logits = outcome_logits(np.zeros((3, 3), np.float32), known, np.full(3, -7.0, np.float32), _POLICY)
    chance = np.asarray(keras.ops.softmax(logits))
    assert (chance[known] == 0.0).all()
    assert chance.sum(axis=1) == pytest.approx(1.0)
    assert np.isfinite(np.asarray(logits)).all()


@pytest.mark.parametrize("directed", [True, False])
def test_the_loss_is_its_formula(directed: bool) -> None:
    draw = np.random.default_rng(0)
    cosine, truth = draw.uniform(-1, 1, (2, 5, 5))
    weight, share = draw.uniform(0.5, 2.0, 5), np.log(draw.dirichlet(np.ones(5), 2))
    known = np.zeros((5, 5), dtype=bool)
    known[0, 3] = known[4, 1] = True
    policy = _POLICY.model_copy(update={"temperature": 0.2, "popularity_correction": 0.5, "cosine_weight": 3.0})

    def side(cosines: NDArray[np.float64], masked: NDArray[np.bool_], log_share: NDArray[np.float64]) -> float:
        logits = np.where(masked, -np.inf, cosines / 0.2 - 0.5 * log_share)
        each = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
        return float(weight @ each / weight.sum())

    wanted = side(cosine, known, share[1])
    if not directed:
        wanted = (wanted + side(cosine.T, known.T, share[0])) / 2
    wanted += 3.0 * float(np.square(cosine - truth).mean())
    loss, right = outcome_loss(
        cosine.astype(np.float32),
        truth.astype(np.float32),
        known,
        weight.astype(np.float32),
        share[0].astype(np.float32),
        share[1].astype(np.float32),
        policy,
        directed=directed,
    )
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    strangers = ~known & ~np.eye(5, dtype=bool)
    assert float(right) == pytest.approx((np.diag(cosine)[:, None] > cosine)[strangers].mean())


def test_a_refused_pair_is_pushed_below_the_middle() -> None:
    cosine, known = np.array([[0.9, 0.1], [0.1, 0.9]], np.float32), np.zeros((2, 2), dtype=bool)
    losses = [
        float(refusal_loss(np.full(1, value, np.float32), np.ones(1, np.float32), cosine, known, _POLICY))
        for value in (0.2, 0.5, 0.8)
    ]
    assert losses[1] == pytest.approx(np.log(2.0))
    assert losses[0] < losses[1] < losses[2]
    nothing = np.empty(0, np.float32)
    assert float(refusal_loss(nothing, nothing, cosine, known, _POLICY)) == 0.0


def test_what_features_hardly_say_is_learned_and_the_probability_is_that_of_an_outcome(world: _World) -> None:
    model, data, told = world.model(), world.data(world.outcomes), list[Epoch]()
    assert data.labels is not None
    assert data.labels.validation is not None
    before = data.labels.validation.score(model)
    report = fit(model, data, _POLICY, epochs=6, learning_rate=3e-3, seed=1, warm_start=False, on_epoch=told.append)
    after = data.labels.validation.score(model)
    assert after.auc > before.auc + 0.05
    assert report.learned
    assert report.dev_auc == after.auc
    assert [epoch.number for epoch in told] == list(range(1, report.epochs + 1))
    assert told[report.best_epoch - 1].dev_auc == after.auc
    exam, raw = data.labels.validation.exam, data.labels.validation.directions
    chance = model.whole.predict([raw[exam.pairs[:, 0]], raw[exam.pairs[:, 1]]], verbose=0)[:, 0]
    likely, other = (float(chance[kind].mean()) for kind in (exam.positive, ~exam.positive))
    assert likely > 0.5 > other
    assert (likely + other) / 2 == pytest.approx(0.5, abs=0.01)


@pytest.mark.full
@pytest.mark.parametrize("objective", [Objective.OUTCOMES, Objective.BOTH])
def test_held_out_labels_and_users_have_no_say(world: _World, objective: Objective) -> None:
    held = world.outcomes.part == Part.HOLDOUT
    spoiled = replace(world.outcomes, positive=world.outcomes.positive ^ held).of(
        ~held | (np.arange(len(held)) % 2 == 0)
    )
    models = []
    for outcomes in (world.outcomes, spoiled):
        models.append(model := world.model())
        world.learned(model, world.data(outcomes, objective=objective), objective=objective, label_epochs=2)
    for one, other in zip(*(model.whole.get_weights() for model in models), strict=True):
        assert (one == other).all()


@pytest.mark.full
def test_both_keeps_the_cosine_better(world: _World) -> None:
    directions = world.space.matrix.directions[:100]
    off = []
    for objective in (Objective.OUTCOMES, Objective.BOTH):
        model = world.model()
        world.learned(model, world.data(world.outcomes, objective=objective), objective=objective, label_epochs=3)
        cosine = np.asarray(model.query(directions)) @ np.asarray(model.candidate(directions)).T
        off.append(np.abs(cosine - directions @ directions.T).mean())
    assert off[1] < off[0]


@pytest.mark.full
def test_a_cycle_learns_the_labels_that_are_new_and_keeps_the_champion_where_nothing_is_gained(world: _World) -> None:
    new = np.arange(len(world.outcomes)) % 2 == 0
    old, all_of_them = world.outcomes.of(~new), replace(world.outcomes, changed=new)
    model = world.model()
    world.learned(model, world.data(old))
    data = world.data(all_of_them, np.array([], dtype=np.int64))
    assert data.labels is not None
    assert data.labels.validation is not None
    assert len(data.labels.new) == int((new & (world.outcomes.part == Part.TRAIN)).sum())
    before, weights = data.labels.validation.score(model), model.whole.get_weights()
    report = world.learned(model, data, warm=True)
    assert report.warm_start
    assert report.learned
    assert report.replayed_labels == data.labels.replayed >= 200
    assert data.labels.validation.better(data.labels.validation.score(model), before)

    model.whole.set_weights(weights)
    lies = world.data(replace(all_of_them, positive=all_of_them.positive ^ (all_of_them.part == Part.TRAIN)), new[:0])
    refused = world.learned(model, lies, warm=True)
    assert not refused.learned
    assert all((one == other).all() for one, other in zip(model.whole.get_weights(), weights, strict=True))


@pytest.mark.parametrize("warm", [False, True])
def test_too_few_labels_teach_nothing(world: _World, warm: bool) -> None:
    train = world.outcomes.part == Part.TRAIN
    few = world.outcomes.of(train & (np.cumsum(train) < LEAST_LABELS))
    model = world.model()
    before = model.whole.get_weights()
    changed = np.array([], dtype=np.int64) if warm else None
    report = world.learned(model, world.data(few, changed), warm=warm)
    assert report.learned is not warm
    assert report.epochs == report.best_epoch == 0
    assert report.note is not None
    assert "positive labels between training users" in report.note
    assert all((one == other).all() for one, other in zip(model.whole.get_weights(), before, strict=True))


def test_where_no_label_is_new_a_cycle_learns_nothing(world: _World) -> None:
    model = world.model()
    report = world.learned(model, world.data(world.outcomes, np.array([], dtype=np.int64)), warm=True)
    assert not report.learned
    assert report.note is not None
    assert "no label is new" in report.note


@pytest.mark.full
def test_a_saved_model_loads_in_plain_keras(world: _World, tmp_path: Path) -> None:
    model = world.model()
    world.learned(model, world.data(world.outcomes, label_epochs=1), label_epochs=1)
    model.whole.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    raw = world.space.matrix.raw[:20]
    ends = [raw[:10], raw[10:]]
    assert loaded.predict(ends, verbose=0) == pytest.approx(model.whole.predict(ends, verbose=0), abs=1e-6)


def test_labels_that_nobody_gave_are_told(world: _World) -> None:
    data = replace(world.data(world.outcomes), labels=None)
    with pytest.raises(ValueError, match="needs labels"):
        world.learned(world.model(), data)


@pytest.mark.full
def test_labels_that_teach_nothing_cost_both_no_cosine(world: _World) -> None:
    """Follows of anybody: each model is as good as another by the dev labels, and the champion is nearer the cosine."""
    pairs = np.random.default_rng(5).integers(0, _USERS, world.outcomes.pairs.shape)
    random = replace(world.outcomes, pairs=np.sort(pairs, axis=1), changed=np.ones(len(pairs), dtype=bool))
    random = replace(random, part=world.population.part[random.pairs].max(axis=1))
    model = world.model()
    before = model.query.get_weights()
    data = world.data(random, np.empty(0, dtype=np.int64), objective=Objective.BOTH)
    assert data.validation is not None
    report = world.learned(model, data, warm=True, objective=Objective.BOTH)
    assert not report.learned
    assert all((one == other).all() for one, other in zip(before, model.query.get_weights(), strict=True))
