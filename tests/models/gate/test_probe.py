"""A champion is asked about what changed before anything is learned from it, and what it has lost is told."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import schemas
from consumer.ledger.probes import Probed
from schemas.cycle import Metrics, ProbeReport, TrainerSettings
from schemas.manifest import ModelManifest
from schemas.policies import FitPolicy, GatePolicy, Objective, PairPolicy
from tests.tastes import SHOWN, TRAITS, Tastes, outcomes_of, seeing, taste_weights
from tests.worlds import trainer_settings
from trainer.exam.evaluate import score
from trainer.exam.exam import prepare_exam
from trainer.exam.outcome_exam import held_out_exam
from trainer.gate.probe import lost_no_more, probe
from trainer.labels.outcomes import Outcomes
from trainer.matrix.embeddings import Rows
from trainer.matrix.split import Part
from trainer.opponents import LoadedVersion

PAIRS = PairPolicy(similarity_threshold=0.45)
GOLDEN = Path(schemas.__file__).parent / "golden" / "model_manifest.json"


@cache
def world() -> Tastes:
    return Tastes(users=1200, follows=5, seed=1)


def settings(objective: Objective) -> TrainerSettings:
    return trainer_settings(Path()).model_copy(
        update={"fit": FitPolicy(objective=objective), "gate": GatePolicy(), "pairs": PAIRS}
    )


@cache
def own_figures() -> Metrics:
    about = held_out_exam(world().raw, world().outcomes(), world().population, 2000, 0)
    exam = prepare_exam(world().raw, world().raw, world().population.holdout, world().everyone, PAIRS, 0)
    return score(seeing(taste_weights(0.7)), exam, about).metrics


def champion(metrics: Metrics | None = None) -> LoadedVersion:
    manifest = ModelManifest.model_validate_json(GOLDEN.read_bytes())
    return LoadedVersion(
        3, Path(), manifest.model_copy(update={"metrics": metrics or own_figures()}), seeing(taste_weights(0.7))
    )


def changing(outcomes: Outcomes, share: float, seed: int = 0) -> Outcomes:
    return replace(outcomes, changed=np.random.default_rng(seed).random(len(outcomes)) < share)


NOBODY = np.empty(0, dtype=np.int64)


def asked(
    objective: Objective, changed: Rows, outcomes: Outcomes | None, raw: NDArray[np.float32] | None = None
) -> ProbeReport:
    rows = world().raw if raw is None else raw
    return probe(champion(), rows, rows, world().population, changed, outcomes, settings(objective), seed=0)


def test_where_nothing_is_other_than_it_was_nothing_is_lost() -> None:
    report = asked(Objective.BOTH, world().everyone[:400], changing(world().outcomes(), 0.2))
    assert report.version == 3
    assert report.users == 400
    assert report.labels > 500
    assert report.own_auc == own_figures().outcome_auc
    assert report.auc == pytest.approx(report.own_auc, abs=0.02)
    assert report.recall_at_10 == pytest.approx(report.own_recall_at_10, abs=0.03)
    assert report.recall_at_50 == pytest.approx(report.own_recall_at_50, abs=0.05)
    assert report.regret is not None
    assert report.error is not None
    assert report.regret < 3 * report.error
    assert "in its own exam" in report.summary


def test_follows_by_another_taste_are_regretted() -> None:
    other = Tastes(users=1200, follows=5, seed=1)
    moved = np.roll(world().raw, TRAITS // 2, axis=1)  # they follow now by what the champion thinks nothing of
    report = probe(
        champion(),
        moved,
        moved,
        other.population,
        NOBODY,
        changing(other.outcomes(), 0.3),
        settings(Objective.OUTCOMES),
        0,
    )
    assert report.auc is not None
    assert report.own_auc is not None
    assert report.regret is not None
    assert report.regret == pytest.approx(report.own_auc - report.auc)
    assert report.regret > 0.1
    assert f"it has lost {report.regret:.4f}, give or take 0.0" in report.summary
    assert report.users == 0
    assert report.recall_at_10 is report.own_recall_at_10 is None


def test_rows_that_the_champion_finds_no_neighbours_for_are_regretted_by_similarity_only() -> None:
    """It weighs the taste more than the other traits; of these users the taste is as large as all the others."""
    raw, some = world().raw.copy(), np.arange(100)
    raw[some, :SHOWN] *= 2
    raw[some] /= np.linalg.norm(raw[some], axis=1, keepdims=True)
    report = asked(Objective.SIMILARITY, some, None, raw)
    assert report.regret is not None
    assert report.error is not None
    assert report.regret > 3 * report.error
    assert report.labels == 0
    by_outcomes = asked(Objective.OUTCOMES, some, None, raw)
    assert by_outcomes.recall_at_10 == report.recall_at_10
    assert by_outcomes.regret is None
    assert "no figure that the objective is judged by is known" in by_outcomes.summary


def test_exactly_the_changed_labels_are_asked_about_whichever_part_they_are_of() -> None:
    outcomes = changing(world().outcomes(), 0.1)
    report = asked(Objective.OUTCOMES, NOBODY, outcomes)
    assert 500 < report.labels <= outcomes.changed.sum()
    assert {int(part) for part in outcomes.part[outcomes.changed]} == {Part.TRAIN, Part.HOLDOUT}
    moved = outcomes.pairs.copy()  # those that are known already only stand in nobody's ranking, and among no strangers
    moved[~outcomes.changed] = moved[~outcomes.changed][::-1]
    again = asked(Objective.OUTCOMES, NOBODY, replace(outcomes, pairs=moved))
    assert again.labels == report.labels
    assert again.auc == pytest.approx(report.auc or 0.0, abs=0.03)


def test_few_changes_cannot_tell() -> None:
    labels = world().outcomes()
    few = replace(labels, changed=np.arange(len(labels)) < 29)
    report = asked(Objective.BOTH, world().everyone[:29], few)
    assert report.regret is report.auc is report.recall_at_10 is None
    assert "29 changed users and 29 changed positive labels" in report.summary
    assert "takes 30 users or 30 labels" in report.summary
    dismissed = outcomes_of(world().pairs, world().part, np.zeros(len(world().pairs), dtype=bool), changed=True)
    assert asked(Objective.OUTCOMES, NOBODY, dismissed).regret is None


def test_a_champion_whose_own_exam_had_no_labels_cannot_have_lost_by_them() -> None:
    no_labels = own_figures().model_copy(update={"outcome_auc": None, "recall_at_50": None})
    labels = changing(world().outcomes(), 0.3)
    report = probe(
        champion(no_labels),
        world().raw,
        world().raw,
        world().population,
        NOBODY,
        labels,
        settings(Objective.OUTCOMES),
        0,
    )
    assert report.auc is not None
    assert report.own_auc is report.regret is None
    assert "(none in its own exam)" in report.summary


def test_of_very_many_a_part_is_asked() -> None:
    report = asked(Objective.BOTH, world().everyone, changing(world().outcomes(), 1.0))
    assert report.users == 512
    assert report.labels < len(world().pairs)


def test_what_is_lost_counts_with_its_error() -> None:
    told = ProbeReport(version=1, users=40, labels=0, regret=0.01, error=0.015)
    assert not lost_no_more(told, 0.02)
    assert lost_no_more(told, 0.025)
    assert not lost_no_more(told.model_copy(update={"regret": None}), 1.0)
    assert Probed(1.0, 1, 40, 0.01, "", 0.015).lost == pytest.approx(-0.005)
    assert Probed(1.0, 1, 40, 0.01, "").lost == 0.01
    assert Probed(1.0, None, 40, None, "it fell over").lost is None
