"""The probe: the champion's score on what has changed, before anything is learned from it. Test, then train.

Each label and row is used for a test before it is learned, so the score is honest (prequential evaluation: Gama,
Sebastião and Rodrigues, Machine Learning 2013). The regret of not having trained is the loss of the figures since the
champion's own exam, when it was registered.

The questions are those of the exam: by similarity the nearest of all users and the same hard sample, by labels the same
kind of strangers. The users differ: an exam asks about held-out users, a probe about changed ones. The champion may
have learned other labels of a changed user, so a probe is rather easier than an exam: a regret is a real loss.
Newcomers are as unknown to the champion as held-out users.

A probe decides when to train, never what is registered: the gate compares that on the day (P4).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from schemas.cycle import Metrics, ProbeReport, TrainerSettings
from schemas.policies import GatePolicy, Objective
from stores.feature_store import Floats
from trainer.exam.evaluate import Score, score
from trainer.exam.exam import prepare_exam
from trainer.exam.outcome_exam import OutcomeExam, outcome_exam
from trainer.gate.bootstrap import Drawn, weights_of
from trainer.labels.outcomes import Outcomes
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.opponents import LoadedVersion

_MOST_USERS = 512  # of either kind of question: the whole corpus is asked for each
_DRAWS = 200  # of a bootstrap
_DECIDING = {
    Objective.SIMILARITY: ("accuracy", "recall_at_10"),
    Objective.OUTCOMES: ("auc",),
    Objective.BOTH: ("auc", "recall_at_10"),
}
_WORDS = {"accuracy": "accuracy", "recall_at_10": "recall@10", "auc": "AUC", "recall_at_50": "recall@50"}


def probe(
    champion: LoadedVersion,
    raw: Floats,
    directions: Floats,
    population: Population,
    changed: Rows,
    outcomes: Outcomes | None,
    settings: TrainerSettings,
    seed: int,
) -> ProbeReport:
    """The champion's figures on changed users and labels, beside those of its own exam, and the loss.

    A probe takes seconds: at most 512 users of either kind, each against all users. The figures of a kind are None with
    fewer than `min_users` changed users, or `min_labels` changed positive labels, of the gate's policy.

    Args:
        champion: the version that a cycle would follow.
        raw, directions: (capacity, width) the user matrix, with the changes in it.
        population: its users.
        changed: rows of the changed users; users without a direction are left out.
        outcomes: every label there is, if any; the probe is about those that are `changed`, of whichever part.
        settings: objective, pairs and sizes.
        seed: of what is drawn.
    """
    users = np.intersect1d(changed, population.everyone)
    asked = users if len(users) >= settings.gate.min_users else users[:0]
    if len(asked) > _MOST_USERS:
        asked = np.sort(np.random.default_rng(seed).choice(asked, _MOST_USERS, replace=False))
    about = _about(raw, population, outcomes, settings.gate, seed)
    if not len(asked) and about is None:
        return _too_few(champion, len(users), outcomes, settings.gate)
    exam = prepare_exam(raw, directions, asked, population.everyone, settings.pairs, seed)
    found = score(champion.model, exam, about)
    figures = _by_similarity(found, settings.gate) if len(asked) else {}
    if about is not None:
        figures |= {"auc": found.metrics.outcome_auc, "recall_at_50": found.metrics.recall_at_50}
    own = _own(champion.manifest.metrics)
    losses = {
        name: before - now
        for name in _DECIDING[settings.fit.objective]
        if (now := figures.get(name)) is not None and (before := own[name]) is not None
    }
    worst = max(losses, key=losses.__getitem__, default=None)
    regret, error = (None, None) if worst is None else (losses[worst], _error(found, worst, seed))
    return ProbeReport(
        version=champion.version,
        users=len(asked),
        labels=0 if about is None else about.labels,
        **figures,
        **{f"own_{name}": own[name] for name in figures},
        regret=regret,
        error=error,
        summary=_summary(champion, figures, own, regret, error),
    )


def lost_no_more(report: ProbeReport, most: float) -> bool:
    """Whether loss plus error is at most `most`; False where the loss is not known."""
    return report.regret is not None and report.regret + (report.error or 0.0) <= most


def _about(
    raw: Floats, population: Population, outcomes: Outcomes | None, policy: GatePolicy, seed: int
) -> OutcomeExam | None:
    """The exam on changed labels; None where they are too few."""
    if outcomes is None or (outcomes.changed & outcomes.positive).sum() < policy.min_labels:
        return None
    anybody = np.ones(len(raw), dtype=bool)
    return outcome_exam(raw, outcomes, outcomes.changed, anybody, population.everyone, _MOST_USERS, seed)


def _by_similarity(found: Score, policy: GatePolicy) -> dict[str, float | None]:
    """Recall@10, and accuracy where there are enough pairs of either kind to ask about."""
    kinds = (found.answers.asked_similar.sum(), found.answers.asked_other.sum())
    accuracy = found.metrics.accuracy if min(kinds) >= policy.min_pairs else None
    return {"accuracy": accuracy, "recall_at_10": found.metrics.recall_at_10}


def _error(found: Score, name: str, seed: int) -> float:
    """Standard error of a figure over users, since the next probe is about others."""
    answers, figure = (found.outcomes, "outcome_auc") if name == "auc" else (found.answers, name)
    assert answers is not None
    drawn = Drawn.of(answers, weights_of(len(answers), _DRAWS, seed))
    return float(drawn.samples[figure].std())


def _own(metrics: Metrics) -> dict[str, float | None]:
    return {
        "accuracy": metrics.accuracy,
        "recall_at_10": metrics.recall_at_10,
        "auc": metrics.outcome_auc,
        "recall_at_50": metrics.recall_at_50,
    }


def _too_few(champion: LoadedVersion, users: int, outcomes: Outcomes | None, policy: GatePolicy) -> ProbeReport:
    labels = 0 if outcomes is None else int((outcomes.changed & outcomes.positive).sum())
    summary = (
        f"version {champion.version} cannot be judged by {users} changed users and {labels} changed positive labels: "
        f"it takes {policy.min_users} users or {policy.min_labels} labels"
    )
    return ProbeReport(version=champion.version, users=0, labels=0, summary=summary)


def _summary(
    champion: LoadedVersion,
    figures: Mapping[str, float | None],
    own: Mapping[str, float | None],
    regret: float | None,
    error: float | None,
) -> str:
    def beside(name: str) -> str:
        before = own[name]
        return f"{_WORDS[name]} {figures[name]:.4f} ({'none' if before is None else f'{before:.4f}'} in its own exam)"

    told = ", ".join(beside(name) for name, figure in figures.items() if figure is not None)
    lost = "no figure that the objective is judged by is known"
    if regret is not None:
        lost = f"it has lost {regret:.4f}" if regret > 0 else "it has lost nothing"
        lost = f"{lost}, give or take {error:.4f}"
    return f"on what has changed since, version {champion.version} has {told}: {lost}"
