"""The contest: all models of a cycle on the same held-out users, at the same moment, on today's features (P4).

The models: the challenger, unless training changed nothing; the champion; the baseline; and, where a cycle follows the
champion, a fresh start on today's users. The fresh start is never registered: where it wins, the space has drifted. It
is not scored where it cannot win: no figure is above one, so one of a margin less leaves no room for a margin more.

Where champion and challenger scale users differently, they disagree about who is similar. All models are then scored
twice, by the labels of either scaling. Each is compared by its own, and the other's alone makes no loss certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.compatibility import CompatibilityReport
from schemas.cycle import CycleRequest, GateReport, Slice
from schemas.features import FeatureGroup
from schemas.manifest import SpaceInfo
from stores.feature_store import Floats
from stores.scratch import Scratch
from trainer.exam.evaluate import Score, scores, slice_reports
from trainer.exam.exam import Exam, prepare_exam
from trainer.exam.outcome_exam import OutcomeExam, held_out_exam
from trainer.gate.compatibility import compatibility
from trainer.gate.gate import CHAMPION
from trainer.gate.judgement import Judgement, own_figures
from trainer.gate.slices import slices_of
from trainer.labels.outcomes import Outcomes
from trainer.learning.initial_weights import set_initial_weights
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.matrix.scaling import to_directions
from trainer.matrix.split import Part
from trainer.model import TwoTower, build
from trainer.opponents import LoadedVersion, Opponents
from trainer.space import Space
from trainer.workers import HERE, Workers

_ROWS_PER_PASS = 8192


@dataclass(frozen=True, slots=True)
class Examined:
    """What a contest has seen, by the labels of the cycle's own scaling.

    Attributes:
        exam: the questions.
        scores: by name of the model: `challenger`, `champion`, `version N`, `fresh`.
        slices: rows of the examined users of each slice.
        outcomes: the exam by outcomes, if there was one.
    """

    exam: Exam
    scores: Mapping[str, Score]
    slices: Mapping[Slice, Rows]
    outcomes: OutcomeExam | None


def run_contest(
    space: Space,
    population: Population,
    challenger: TwoTower | None,
    opponents: Opponents,
    request: CycleRequest,
    spaces: Path,
    seed: int,
    outcomes: Outcomes | None = None,
    on_examined: Callable[[Examined], None] | None = None,
    workers: Workers = HERE,
) -> tuple[GateReport, CompatibilityReport | None]:
    """Score all models and judge; the report also says whether a full retrain is asked for.

    The second report says whether the challenger's queries may meet the champion's vectors; None where one is missing.

    Args:
        space: the cycle's space, with all changes in it.
        population: its users.
        challenger: None where training changed nothing, so that the champion alone is scored.
        opponents: champion and baseline; without a champion a challenger is required.
        request: the cycle's.
        spaces: the folder of all spaces.
        seed: of what is sampled.
        outcomes: every label there is, if any. Models are scored on them whatever the objective; the objective decides
            whether they judge.
        on_examined: gets what the report is made of, once all models are scored.
        workers: who compares the held-out users with everybody.
    """
    policy, champion = request.settings.gate, opponents.champion
    examined = population.holdout[: policy.max_users]
    exams = _exams(space, population, examined, champion, request, seed, workers)
    about = held_out_exam(space.matrix.raw, outcomes, population, policy.max_users, seed) if outcomes else None
    rows = examined if about is None else np.union1d(examined, about.asked)
    slices = slices_of(rows, space, champion, request, spaces)
    judgement = Judgement(request, exams[0], about, slices, opponents, seed)
    models = {
        "challenger": challenger,
        CHAMPION: champion.model if champion else None,
        **{f"version {one.version}": one.model for one in opponents.baseline},
    }
    taking = {name: model for name, model in models.items() if model is not None}
    follows = champion is not None and not request.kind.from_scratch
    if champion is not None and follows and judgement.fresh_may_win([own_figures(champion)]):
        taking["fresh"] = _fresh(space, population, request)  # likely to be needed, so beside the others
    by_exam = [_scored(taking, exam, about if exam is exams[0] else None, workers) for exam in exams]
    headline = by_exam[0]
    unasked: tuple[str, ...] = ()
    if follows and "fresh" not in taking:
        standing = judgement.standing_figures(headline)
        if judgement.fresh_may_win(standing):
            headline |= _scored({"fresh": _fresh(space, population, request)}, exams[0], about, workers)
        else:
            unasked = (judgement.why_fresh_cannot_win(standing),)
    by_model = {name: [one[name] for one in by_exam] for name in taking}
    report = judgement.judged(by_model)
    if on_examined is not None:
        on_examined(Examined(exams[0], headline, slices, about))
    update = {
        "notes": (*report.notes, *unasked, *_by_own_labels(by_model.get(CHAMPION, [])), *opponents.notes),
        "labels_kept": _labels_kept(exams),
        "fresh": headline["fresh"].metrics if "fresh" in headline else None,
        "asks_full": judgement.asks_full(headline),
        "slices": slice_reports(exams[0], slices, headline.get("challenger"), headline.get(CHAMPION), about),
    }
    if challenger is None or champion is None:
        return report.model_copy(update=update), None
    compatible = compatibility(
        challenger,
        champion.model,
        champion.version,
        headline[CHAMPION],
        exams[0],
        about if judgement.by_outcomes else None,
        policy.compatible_recall,
        same_scaling=_same_scaling(champion.manifest.space, space.info),
        workers=workers,
    )
    return report.model_copy(update=update), compatible


def _scored(
    models: Mapping[str, TwoTower], exam: Exam, about: OutcomeExam | None, workers: Workers
) -> dict[str, Score]:
    """The score of each model by its name; of models that give the same answers one is asked for all."""
    asked: dict[str, TwoTower] = {}
    stands_for: dict[str, str] = {}
    for name, model in models.items():
        same = next((other for other, its in asked.items() if its.answers_as(model)), None)
        stands_for[name] = same or name
        if same is None:
            asked[name] = model
    found = dict(zip(asked, scores(list(asked.values()), exam, about, workers), strict=True))
    return {name: found[other] for name, other in stands_for.items()}


def _exams(
    space: Space,
    population: Population,
    examined: Rows,
    champion: LoadedVersion | None,
    request: CycleRequest,
    seed: int,
    workers: Workers,
) -> list[Exam]:
    """One exam by the labels of the cycle's space, and one by the champion's where its scaling differs."""
    raw, pairs, everyone = space.matrix.raw, request.settings.pairs, population.everyone
    exams = [prepare_exam(raw, space.matrix.directions, examined, everyone, pairs, seed, workers)]
    if champion is not None and not _same_scaling(champion.manifest.space, space.info):
        group = request.settings.feature_group
        directions = _scaled(champion.manifest.space, group, raw, everyone)
        exams.append(prepare_exam(raw, directions, examined, everyone, pairs, seed, workers))
    return exams


def _same_scaling(one: SpaceInfo, other: SpaceInfo) -> bool:
    return one.model_copy(update={"space_id": other.space_id}) == other


def _scaled(info: SpaceInfo, group: FeatureGroup, raw: Floats, rows: Rows) -> Floats:
    """(capacity, width) directions of `rows` by another scaling; the others are zero."""
    found = Scratch.beside(raw).zeros(raw.shape, np.float32)
    for start in range(0, len(rows), _ROWS_PER_PASS):
        part = rows[start : start + _ROWS_PER_PASS]
        found[part] = to_directions(info, group, np.asarray(raw[part]))
    return found


def _labels_kept(exams: Sequence[Exam]) -> float | None:
    """Jaccard index of the similar pairs of two exams; None where there is one exam only."""
    if len(exams) < 2:
        return None
    both = either = 0
    for one, other in zip(exams[0].bits, exams[1].bits, strict=True):
        both += int(np.bitwise_count(one & other).sum())
        either += int(np.bitwise_count(one | other).sum())
    return both / either if either else 1.0


def _by_own_labels(champion: Sequence[Score]) -> list[str]:
    """The champion's figures by its own labels, which were compared, where its scaling differs."""
    if len(champion) < 2:
        return []
    own = champion[-1].metrics
    return [
        "the champion scales users otherwise and was compared by its own labels, by which it has accuracy "
        f"{own.accuracy:.4f}, precision {own.precision or 0.0:.4f}, recall of pairs {own.recall or 0.0:.4f}, recall@10 "
        f"{own.recall_at_10:.4f}"
    ]


def _fresh(space: Space, population: Population, request: CycleRequest) -> TwoTower:
    settings = request.settings
    model = build(space.info, settings.feature_group, settings.fit.dropout, settings.fit.learning_rate)
    set_initial_weights(model, space.matrix.directions, population.of(Part.TRAIN), settings.pairs.similarity_threshold)
    return model
