"""The training data of a fit: users, their pairs and their labels, without the holdout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.cycle import TrainerSettings
from stores.feature_store import Floats
from trainer.labels.outcomes import Outcomes
from trainer.learning.batches import Anchors, Neighbours, choose_anchors
from trainer.learning.label_data import LabelData
from trainer.learning.validation import ValidationExam, validation_exam
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.matrix.split import Part
from trainer.space import Space


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The training data of a fit. None of it belongs to the holdout.

    Attributes:
        directions: (capacity, width) the user matrix.
        train: rows of the training users.
        anchors: the rows of one epoch.
        neighbours: similar training users of each anchor.
        validation: the exam on the dev users after each epoch; None where there are too few.
        threshold, negative_ratio: of the pair policy.
        labels: the labels to learn, where the objective has outcomes.
    """

    directions: Floats
    train: Rows
    anchors: Anchors
    neighbours: Neighbours
    validation: ValidationExam | None
    threshold: float
    negative_ratio: int
    labels: LabelData | None = None

    @staticmethod
    def of(
        space: Space,
        population: Population,
        changed: Rows | None,
        settings: TrainerSettings,
        seed: int,
        outcomes: Outcomes | None = None,
    ) -> TrainingData:
        """The data of a cycle: all training users, or those around the `changed` rows where given. This keeps P5.

        `outcomes` are all known labels, held-out ones included; None where the objective is similarity.
        """
        train, dev = population.of(Part.TRAIN), population.of(Part.DEV)
        pairs = settings.pairs
        anchors = choose_anchors(train, changed, settings.fit, np.random.default_rng(seed))
        return TrainingData(
            directions=space.matrix.directions,
            train=train,
            anchors=anchors,
            neighbours=Neighbours(
                space.graph,
                space.matrix.directions,
                population.order,
                train,
                anchors.rows,
                pairs.similarity_threshold,
            ),
            validation=validation_exam(
                space.matrix.directions,
                dev,
                changed,
                np.concatenate([train, dev]),
                pairs.similarity_threshold,
                settings.fit,
                seed,
            ),
            threshold=pairs.similarity_threshold,
            negative_ratio=pairs.negative_ratio,
            labels=_labels(space, population, changed, settings, seed, outcomes),
        )


def _labels(
    space: Space,
    population: Population,
    changed: Rows | None,
    settings: TrainerSettings,
    seed: int,
    outcomes: Outcomes | None,
) -> LabelData | None:
    if not settings.fit.objective.has_outcomes:
        return None
    return LabelData.of(
        Outcomes.none() if outcomes is None else outcomes,
        space.matrix.directions,
        population,
        changed,
        settings.fit,
        seed,
    )
