"""The fit of a cycle: on all users or on the changed ones; on labels only where these can be judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.cycle import CycleRequest, FitReport, TrainerSettings
from trainer.exam.outcome_exam import held_out_exam, lacking
from trainer.labels.outcomes import Outcomes
from trainer.learning.fit import Epoch, fit
from trainer.learning.training_data import TrainingData
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.model import TwoTower
from trainer.space import Space


def changed_rows(request: CycleRequest, space: Space) -> Rows:
    """Rows of the claimed users that are in the space."""
    return np.array(list(space.matrix.rows_of(request.users).values()), dtype=np.int64)


def fit_cycle(
    model: TwoTower,
    space: Space,
    population: Population,
    outcomes: Outcomes | None,
    request: CycleRequest,
    seed: int,
    on_epoch: Callable[[Epoch], None],
) -> FitReport:
    """Train `model` in place, as `trainer.learning.fit` does.

    Args:
        model: the champion's copy, or a new one where the cycle trains from scratch.
        space, population: with all changes applied.
        outcomes: every label there is; None where there is no label group.
        request: the cycle's.
        seed: of all draws.
        on_epoch: called after each epoch; may raise to end the fit.
    """
    settings, follows = request.settings, not request.kind.from_scratch
    policy, why = settings.fit, _why_not_learned(space, population, outcomes, settings, seed)
    if outcomes is not None and why is not None:
        outcomes = outcomes.of(np.zeros(len(outcomes), dtype=bool))
    changed = changed_rows(request, space) if follows else None
    report = fit(
        model,
        TrainingData.of(space, population, changed, settings, seed, outcomes),
        policy,
        epochs=policy.incremental_epochs if follows else policy.full_epochs,
        learning_rate=policy.incremental_learning_rate if follows else policy.learning_rate,
        seed=seed,
        warm_start=follows,
        on_epoch=on_epoch,
    )
    if why is None:
        return report
    return report.model_copy(update={"note": f"{why}; what cannot be judged is not learned"})


def _why_not_learned(
    space: Space, population: Population, outcomes: Outcomes | None, settings: TrainerSettings, seed: int
) -> str | None:
    """Why labels are not learned although the objective has them: too few are held out to judge a challenger."""
    if outcomes is None or not settings.fit.objective.has_outcomes:
        return None
    return lacking(held_out_exam(space.matrix.raw, outcomes, population, settings.gate.max_users, seed), settings.gate)
