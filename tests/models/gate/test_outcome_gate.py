"""P4 where outcomes judge: a loss on held-out labels is refused, and of the input cosine only a large one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import schemas
from schemas.cycle import CycleKind, CycleRequest, GateReport, Lineage, Slice
from schemas.labels import LabelGroup
from schemas.manifest import ModelManifest
from schemas.policies import FitPolicy, GatePolicy, Objective, PairPolicy
from tests.tastes import SHOWN, TRAITS, Tastes, learned_from, outcomes_of, seeing, taste_weights
from tests.worlds import trainer_settings
from trainer.exam.evaluate import Score, score
from trainer.exam.exam import Exam, prepare_exam
from trainer.exam.outcome_answers import OutcomeAnswers
from trainer.exam.outcome_exam import OutcomeExam, held_out_exam
from trainer.gate.comparison import Rival
from trainer.gate.gate import CHAMPION, drifted, first, judge
from trainer.gate.judgement import Judgement
from trainer.matrix.split import Part
from trainer.model import TwoTower
from trainer.opponents import LoadedVersion, Opponents

POLICY = GatePolicy(draws=400)
GOLDEN = Path(schemas.__file__).parent / "golden" / "model_manifest.json"


@cache
def world() -> Tastes:
    return Tastes(users=2400, follows=4, seed=3)


@cache
def about(labels: int | None = None) -> OutcomeExam:
    outcomes = world().outcomes()
    if labels is not None:
        outcomes = outcomes.of(
            np.isin(np.arange(len(outcomes)), np.flatnonzero(outcomes.part == Part.HOLDOUT)[:labels])
        )
    exam = held_out_exam(world().raw, outcomes, world().population, 2000, 0)
    assert exam is not None
    return exam


@cache
def exam() -> Exam:
    held, policy = world().population.holdout, PairPolicy(similarity_threshold=0.45)
    return prepare_exam(world().raw, world().raw, held, world().everyone, policy, 0)


@cache
def learned_pairs() -> NDArray[np.int64]:
    pairs = world().pairs
    learned: NDArray[np.int64] = pairs[(world().part[pairs] == Part.TRAIN).all(axis=1)]
    return learned


def scored(model: TwoTower, labels: int | None = None) -> Score:
    return score(model, exam(), about(labels))


@cache
def champion() -> Score:
    return scored(learned_from(world(), learned_pairs()))


@cache
def blurred(noise: float) -> Score:
    return scored(seeing(taste_weights(noise)))


def judged(challenger: Score, other: Score, policy: GatePolicy = POLICY, *, railed: bool = True) -> GateReport:
    return judge(policy, [challenger], [Rival(CHAMPION, [other], railed)], {}, 1, asked={})


def test_a_model_that_learned_from_more_follows_passes() -> None:
    half = scored(learned_from(world(), learned_pairs()[::2]))
    report = judged(champion(), half)
    assert (report.outcome, report.judged_by) == ("passed", "outcomes")
    assert report.reason.startswith("did not regress: AUC of outcomes +0.0")
    assert {one.figure for one in report.comparisons if not one.guard_rail} == {"outcome_auc", "recall_at_50"}
    rails = {"recall_at_10", "earlier_auc", "outcome_calibration_error"}
    assert {one.figure for one in report.comparisons if one.guard_rail} == rails


def test_a_model_that_learned_from_spam_is_refused() -> None:
    """Three labels in ten are of two users drawn at random: a loss of some thousandths of AUC, and certain."""
    generator, pairs = np.random.default_rng(0), learned_pairs()
    spam = generator.integers(0, len(world().raw) * 3 // 4, pairs.shape)
    spoiled = np.where(generator.random(len(pairs))[:, None] < 0.3, spam, pairs)
    report = judged(scored(learned_from(world(), spoiled)), champion())
    assert report.outcome == "rejected"
    assert "is worse beyond doubt" in report.reason
    assert report.difference is not None
    assert -0.02 < report.difference < 0


def test_spam_that_is_held_out_too_does_not_pass_whoever_has_learned_it() -> None:
    """As many new follows go by other traits: by all labels the challenger is better, by the earlier ones worse."""
    other = slice(SHOWN, 2 * SHOWN)
    alike = world().raw[:, other] @ world().raw[:, other].T + 0.05 * np.random.default_rng(0).gumbel(size=(2400, 2400))
    np.fill_diagonal(alike, -np.inf)
    new = np.stack([np.repeat(np.arange(2400), 4), np.argsort(-alike, axis=1)[:, :4].ravel()], axis=1)
    new = np.unique(np.sort(new, axis=1), axis=0)
    mixed = outcomes_of(np.concatenate([world().pairs, new]), world().part)
    mixed = replace(mixed, changed=np.arange(len(mixed)) >= len(world().pairs))
    asked = held_out_exam(world().raw, mixed, world().population, 2000, 0)
    fooled = score(seeing(np.where(np.arange(TRAITS) < 2 * SHOWN, 1.0, 0.0)), exam(), asked)
    honest = score(seeing(taste_weights()), exam(), asked)
    policy = POLICY.model_copy(update={"recall_margin": 1.0, "negligible": 0.1, "calibration_margin": 1.0})
    report = judged(fooled, honest, policy)  # by AUC alone
    assert report.difference is not None
    assert report.difference > 0.05
    assert report.outcome == "rejected"
    assert report.reason.startswith("AUC of earlier labels has lost more than 0.005 beyond doubt")
    assert "RETRAINER_GATE__EARLIER_MARGIN" in report.reason
    assert judged(fooled, honest, policy.model_copy(update={"earlier_margin": 1.0})).outcome == "passed"


def test_a_little_worse_calibrated_passes_and_much_worse_does_not() -> None:
    well, off, far = (scored(seeing(taste_weights(), 10.0, bias)) for bias in (-2.0, -2.3, -9.0))
    errors = [one.metrics.outcome_calibration_error for one in (well, off, far)]
    policy = POLICY.model_copy(update={"calibration_margin": 0.1})
    ordered = sorted(zip(errors, (well, off, far), strict=True), key=lambda one: one[0] or 0.0)
    best, middle, worst = (score for _, score in ordered)
    assert judged(middle, best, policy).outcome == "passed"
    report = judged(worst, best, policy)
    assert report.outcome == "rejected"
    assert report.reason.startswith("calibration error of outcomes has lost more than 0.1 beyond doubt")
    assert "RETRAINER_GATE__CALIBRATION_MARGIN" in report.reason


def test_the_input_cosine_is_a_guard_rail_against_versions_that_outcomes_judged() -> None:
    knowing, cosine = blurred(0.3), blurred(0.9)
    assert knowing.metrics.recall_at_10 < cosine.metrics.recall_at_10 - 0.3
    report = judged(knowing, cosine)
    assert report.outcome == "rejected"
    assert "by the input cosine has lost more than 0.2 beyond doubt" in report.reason
    assert "RETRAINER_GATE__GUARD_RAIL_MARGIN" in report.reason
    assert judged(knowing, cosine, POLICY.model_copy(update={"guard_rail_margin": 0.95})).outcome == "passed"
    assert judged(knowing, cosine, railed=False).outcome == "passed"  # a version that was made for the cosine


def test_a_small_certain_loss_of_the_cosine_is_allowed_and_one_of_outcomes_is_not() -> None:
    more, less = blurred(0.62), blurred(0.65)
    report = judged(more, less)
    assert report.outcome == "passed"
    rail = next(one for one in report.comparisons if one.figure == "recall_at_10")
    assert rail.certain < 0
    assert rail.verdict == "fine"
    assert judged(less, more).outcome == "rejected"
    assert judge(POLICY, [more], [Rival(CHAMPION, [less])], {}, 1).outcome == "rejected"  # by similarity


def test_slices_are_compared_by_those_of_them_who_were_asked() -> None:
    whole = champion()
    assert whole.outcomes is not None
    half = np.arange(len(whole.outcomes)) % 2 == 0
    report = judge(POLICY, [whole], [Rival(CHAMPION, [whole])], {}, 1, asked={Slice.NEW: half, Slice.CHANGED: ~half})
    told = {(one.figure, one.slice) for one in report.comparisons if one.slice}
    assert told == {(figure, part) for figure in ("outcome_auc", "recall_at_50") for part in (Slice.NEW, Slice.CHANGED)}


def test_the_first_version_needs_a_floor_of_auc_and_none_of_the_cosine() -> None:
    good = champion()
    assert good.metrics.precision is not None
    assert good.metrics.precision < POLICY.min_precision
    assert good.metrics.recall_at_10 < POLICY.min_recall_at_10
    report = first(POLICY, good, "first version", by_outcomes=True)
    assert (report.outcome, report.judged_by) == ("passed", "outcomes")
    assert report.reason.endswith("above its floor")
    assert first(POLICY, good, "first version").outcome == "rejected"
    guess = scored(seeing(np.where(taste_weights() > 0, 0.0, 1.0)))
    report = first(POLICY, guess, "first version", by_outcomes=True)
    assert report.outcome == "rejected"
    assert "is below the floor of 0.52" in report.reason


def test_an_untrained_start_asks_for_nothing_unless_it_tells_outcomes_better() -> None:
    """It keeps the input cosine, so by that it wins against whatever has learned something else."""
    fresh, learned = blurred(1.0), champion()
    assert fresh.outcomes is not None
    assert learned.outcomes is not None
    assert drifted(POLICY, fresh.answers, {CHAMPION: learned.answers}, 0) is not None
    assert drifted(POLICY, fresh.outcomes, {CHAMPION: learned.outcomes}, 0) is None
    lost = scored(learned_from(world(), np.random.default_rng(0).integers(0, 1800, (2000, 2)))).outcomes
    assert lost is not None
    why = drifted(POLICY, fresh.outcomes, {CHAMPION: lost}, 0)
    assert why is not None
    assert "has AUC of outcomes" in why


def told(skill: float, churn: float, seed: int) -> Score:
    """Of 600 users, some seven labels each, all that a model shares with others of the same seed, and some it does not.

    Args:
        skill: by how much positive labels look more alike, in spreads of a pair's.
        churn: the share of the spread that is its own.
        seed: of the world.
    """
    generator = np.random.default_rng(seed)
    count = generator.poisson(6, 600) + 1
    user = np.repeat(np.arange(600), 2 * count)
    positive = np.concatenate([np.arange(2 * number) < number for number in count])
    shared, fond = generator.normal(size=len(user)), 0.5 * generator.normal(size=600)[user]
    own = np.random.default_rng([seed, round(1000 * skill), 1]).normal(size=len(user))
    alike = np.sqrt(1 - churn**2) * shared + churn * own + positive * (skill + fond)
    bins = np.argsort(np.argsort(-alike)) * 512 // len(alike)

    def summed(which: NDArray[np.bool_], place: NDArray[np.int64], places: int) -> NDArray[np.float64]:
        total = np.bincount(user * places + place, which, minlength=600 * places)
        return np.asarray(total.reshape(600, places), dtype=np.float64)

    answers = OutcomeAnswers(
        positive=summed(positive, bins, 512),
        other=summed(~positive, bins, 512),
        earlier=np.zeros((600, 512)),
        earlier_other=np.zeros((600, 512)),
        gap=np.zeros((600, 10)),
        claimed=np.ones((600, 10)),
        found=summed(positive & (alike > 1.8), 0 * user, 1)[:, 0],
        wanted=summed(positive, 0 * user, 1)[:, 0],
    )
    return replace(blurred(1.0), outcomes=answers)


def test_an_equal_model_passes_and_one_worse_by_twice_the_margin_does_not() -> None:
    """AUC 0.69, and a challenger that differs in a tenth of the spread: 0.02 of AUC is 0.06 of its skill."""
    policy = GatePolicy(draws=200)
    equal = [judged(told(0.7001, 0.1, seed), told(0.7, 0.1, seed), policy).outcome for seed in range(8)]
    worse = [judged(told(0.64, 0.1, seed), told(0.7, 0.1, seed), policy).outcome for seed in range(8)]
    assert equal.count("passed") >= 6
    assert worse.count("passed") == 0


def standing(version: int, judged_by: str) -> LoadedVersion:
    manifest = ModelManifest.model_validate_json(GOLDEN.read_bytes())
    gate = manifest.gate_report.model_copy(update={"judged_by": judged_by})
    model = seeing(taste_weights())
    return LoadedVersion(version, Path(), manifest.model_copy(update={"gate_report": gate}), model)


def judgement(folder: Path, objective: Objective, labels: int | None, opponents: Opponents) -> Judgement:
    settings = trainer_settings(folder).model_copy(
        update={"labels": LabelGroup(), "fit": FitPolicy(objective=objective), "gate": POLICY}
    )
    request = CycleRequest(
        cycle_id="c",
        kind=CycleKind.FULL,
        reason="",
        base_version=None,
        users=(),
        lineage=Lineage(offsets={}, changed_users=0),
        settings=settings,
    )
    slices = {Slice.NEW: world().everyone, Slice.CHANGED: world().everyone[:0]}
    return Judgement(request, exam(), about(labels), slices, opponents, 0)


@pytest.mark.full
@pytest.mark.parametrize(
    ("objective", "labels", "champion_by", "judged_by"),
    [
        (Objective.SIMILARITY, None, "similarity", "similarity"),
        (Objective.SIMILARITY, None, "outcomes", "similarity"),
        (Objective.OUTCOMES, None, "similarity", "outcomes"),
        (Objective.BOTH, None, "outcomes", "outcomes"),
        (Objective.OUTCOMES, 20, "similarity", "similarity"),
        (Objective.OUTCOMES, 20, "outcomes", "inconclusive"),
    ],
)
def test_outcomes_judge_where_the_objective_has_them_and_labels_are_enough(
    tmp_path: Path, objective: Objective, labels: int | None, champion_by: str, judged_by: str
) -> None:
    found = scored(seeing(taste_weights(0.5)), labels)
    here = judgement(tmp_path, objective, labels, Opponents(standing(7, champion_by)))
    report = here.judged({"challenger": [found], CHAMPION: [found]})
    assert report.challenger is not None
    assert report.challenger.outcome_auc is not None  # shown in any case
    if judged_by == "inconclusive":
        assert report.outcome == "inconclusive"
        assert report.reason.startswith("version 7 was judged by outcomes, and now 20 positive labels of ")
        return
    assert (report.outcome, report.judged_by) == ("passed", judged_by)
    assert any("judged by the input cosine: 20 positive labels" in note for note in report.notes) is (labels == 20)
    by_cosine = any(one.figure == "recall_at_10" and one.guard_rail for one in report.comparisons)
    assert by_cosine is ((judged_by, champion_by) == ("outcomes", "outcomes"))
    assert report.labels == about(labels).labels


def test_where_nothing_was_learned_the_champion_answers_for_outcomes_too(tmp_path: Path) -> None:
    here = judgement(tmp_path, Objective.OUTCOMES, None, Opponents(standing(7, "outcomes")))
    report = here.judged({CHAMPION: [champion()], "fresh": [blurred(1.0)]})
    assert report.outcome == "unchanged"
    assert "AUC of outcomes 0.8" in report.reason
    assert here.asks_full({CHAMPION: champion(), "fresh": blurred(1.0)}) is None
