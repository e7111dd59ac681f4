"""What a fit may see, and that it learns from it: P5 in the batches, checked negatives, and repeatable weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.cycle import TrainerSettings
from schemas.policies import PairPolicy
from tests.unit.test_space import checked
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.batches import Neighbours, batches, choose_anchors
from trainer.evaluate import labelled_pairs
from trainer.fit import Epoch, TrainingData, fit
from trainer.model import TwoTower, build
from trainer.pairs.graph import pairs_of
from trainer.pairs.mining import similarity
from trainer.pairs.negatives import draw_negatives
from trainer.population import Population, populate
from trainer.scaling import fit_space
from trainer.space import Space
from trainer.split import Part


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainerSettings:
    return trainer_settings(tmp_path_factory.mktemp("learning"))


@pytest.fixture(scope="module")
def space(settings: TrainerSettings) -> Space:
    rows = checked(World().rows(names(400)))
    made = Space.create(settings.work_dir / "s1", fit_space("s1", GROUP, rows.raw), GROUP)
    made.apply(rows, [])
    made.update_pairs(settings.pairs, lambda _done, _of: None)
    return made


@pytest.fixture(scope="module")
def population(space: Space, settings: TrainerSettings) -> Population:
    return populate(space.matrix, settings.split)


def test_negatives_are_dissimilar_and_reproducible(space: Space, population: Population) -> None:
    anchors = np.repeat(population.everyone, 5)
    drawn = [
        draw_negatives(space.matrix.directions, anchors, population.everyone, 0.3, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    assert len(drawn[0]) == len(anchors)
    assert (similarity(space.matrix.directions, drawn[0][:, 0], drawn[0][:, 1]) <= 0.3).all()
    assert (drawn[0][:, 0] != drawn[0][:, 1]).all()
    assert (drawn[0] == drawn[1]).all()
    assert not (drawn[0] == drawn[2]).all()


def test_where_everybody_is_similar_there_are_no_negatives() -> None:
    same = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (10, 1))
    everyone = np.arange(10)
    assert len(draw_negatives(same, everyone, everyone, 0.8, np.random.default_rng(0))) == 0
    assert len(draw_negatives(same, everyone, everyone[:0], 0.8, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("ratio", [1, 3])
def test_labelled_pairs_are_anchored_and_balanced(space: Space, population: Population, ratio: int) -> None:
    policy = PairPolicy(similarity_threshold=0.8, negative_ratio=ratio)
    held = population.part == Part.HOLDOUT
    found = labelled_pairs(space.matrix.directions, pairs_of(space.links), held, population.everyone, policy, seed=3)
    assert held[found.rows[:, 0]].all()
    truth = similarity(space.matrix.directions, found.rows[:, 0], found.rows[:, 1]) > 0.8
    assert (truth == found.similar).all()
    assert (~found.similar).sum() == ratio * found.similar.sum()


def test_no_batch_ever_holds_a_user_outside_the_training_part(
    space: Space, population: Population, settings: TrainerSettings
) -> None:
    data = TrainingData.of(space, population, None, settings, seed=0)
    generator = np.random.default_rng(0)
    seen: set[int] = set()
    for rows in batches(data.anchors.rows, data.train, data.neighbours, 64, generator):
        assert len(set(rows.tolist())) == len(rows) == 64
        assert (population.part[rows] == Part.TRAIN).all()
        seen |= set(rows.tolist())
    assert seen == set(data.train.tolist())
    assert data.dev is not None
    assert (population.part[data.dev.rows] != Part.HOLDOUT).all()
    assert (population.part[data.dev.rows[:, 0]] == Part.DEV).all()


def test_neighbours_are_similar_users_who_may_be_trained_on(space: Space, population: Population) -> None:
    allowed = population.part == Part.TRAIN
    drawn = Neighbours(space.links, allowed).draw(population.of(Part.TRAIN), np.random.default_rng(0))
    assert len(drawn) > 50
    assert allowed[drawn].all()
    pairs = {tuple(pair) for pair in pairs_of(space.links).tolist()}
    anchor = population.of(Part.TRAIN)[:1]
    for _ in range(20):
        for found in Neighbours(space.links, allowed).draw(anchor, np.random.default_rng()):
            assert (min(anchor[0], found), max(anchor[0], found)) in pairs


def test_an_incremental_epoch_goes_through_the_changed_and_a_replay_share(
    population: Population, settings: TrainerSettings
) -> None:
    train, held = population.of(Part.TRAIN), population.of(Part.HOLDOUT)
    policy = settings.fit.model_copy(update={"replay_share": 0.75, "min_replay_users": 1})
    changed = np.concatenate([train[:20], held[:20]])
    anchors = choose_anchors(train, changed, policy, np.random.default_rng(0))
    assert anchors.replayed == 60
    assert set(train[:20].tolist()) <= set(anchors.rows.tolist()) <= set(train.tolist())
    assert len(set(anchors.rows.tolist())) == len(anchors.rows) == 80
    everybody = choose_anchors(train, train, policy, np.random.default_rng(0))
    assert everybody.replayed == 0


def trained(space: Space, population: Population, settings: TrainerSettings, seed: int) -> tuple[TwoTower, list[Epoch]]:
    import keras

    keras.utils.set_random_seed(seed)
    model = build(space.info, GROUP, settings.fit.dropout, settings.fit.learning_rate)
    epochs: list[Epoch] = []
    fit(
        model,
        TrainingData.of(space, population, None, settings, seed),
        settings.fit,
        epochs=8,
        learning_rate=2e-3,
        seed=seed,
        warm_start=False,
        on_epoch=epochs.append,
    )
    return model, epochs


def test_the_model_learns_and_learns_the_same_twice(
    space: Space, population: Population, settings: TrainerSettings
) -> None:
    first, epochs = trained(space, population, settings, 5)
    second, _ = trained(space, population, settings, 5)
    assert epochs[-1].loss < 0.7 * epochs[0].loss
    assert epochs[-1].dev_accuracy is not None
    assert epochs[-1].dev_accuracy > 0.8
    for one, other in zip(first.whole.get_weights(), second.whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_weights_and_optimizer_of_the_best_epoch_are_kept(
    space: Space, population: Population, settings: TrainerSettings
) -> None:
    model = build(space.info, GROUP, 0.0, 1e-3)
    states: list[list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]] = []
    scores: list[float] = []

    def remember(epoch: Epoch) -> None:
        assert epoch.dev_accuracy is not None
        scores.append(epoch.dev_accuracy)
        states.append([variable.numpy() for variable in (*model.whole.weights, *model.whole.optimizer.variables)])

    report = fit(
        model,
        TrainingData.of(space, population, None, settings, 1),
        settings.fit,
        epochs=12,
        learning_rate=0.05,  # so fast that it does not end at its best
        seed=1,
        warm_start=False,
        on_epoch=remember,
    )
    best = scores.index(max(scores))
    assert report.best_epoch == best + 1
    assert report.dev_accuracy == max(scores)
    kept = [variable.numpy() for variable in (*model.whole.weights, *model.whole.optimizer.variables)]
    for one, other in zip(kept, states[best], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_saved_model_goes_on_with_its_optimizer(
    space: Space, population: Population, settings: TrainerSettings, tmp_path: Path
) -> None:
    from trainer.model import load

    model, _ = trained(space, population, settings, 5)
    model.whole.save(tmp_path / "m.keras")
    loaded = load(tmp_path / "m.keras")
    assert int(loaded.whole.optimizer.iterations) == int(model.whole.optimizer.iterations) > 0
    for one, other in zip(loaded.whole.optimizer.variables, model.whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    raw = space.matrix.raw[:50]
    np.testing.assert_array_equal(
        loaded.whole.predict([raw, raw[::-1]], verbose=0), model.whole.predict([raw, raw[::-1]], verbose=0)
    )
