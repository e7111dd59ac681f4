"""Whether queries of a challenger may meet the candidate vectors of the champion (P10).

An index of vectors is expensive to write, so a server may ask the index of the version before with a new version's
queries, until the new index is written. The exam says what that costs: the challenger's queries, the champion's
candidates, and the questions and right answers that both are asked alone. The figure is the one that the objective asks
of an index: recall@50 of held-out labels where outcomes judge, else recall@10 of the input cosine.
"""

from __future__ import annotations

import numpy as np

from schemas.compatibility import CompatibilityReport
from trainer.exam.evaluate import Score, embed, nearest_found
from trainer.exam.exam import Exam
from trainer.exam.outcome_answers import answer
from trainer.exam.outcome_exam import OutcomeExam
from trainer.exam.parts import search
from trainer.model import CANDIDATE, QUERY, TwoTower
from trainer.workers import HERE, Workers


def compatibility(
    challenger: TwoTower,
    champion: TwoTower,
    version: int,
    own: Score,
    exam: Exam,
    about: OutcomeExam | None,
    limit: float,
    *,
    same_scaling: bool,
    workers: Workers = HERE,
) -> CompatibilityReport:
    """How well the challenger's queries find their users among the champion's vectors of everybody.

    Args:
        challenger: its queries ask.
        champion, version: its candidates answer.
        own: the champion's score in both exams.
        exam: the exam by similarity.
        about: the exam by outcomes, where outcomes judge; else None.
        limit: the share of the champion's recall from which on the two are compatible.
        same_scaling: whether both scale rows alike.
        workers: who searches the corpus.
    """
    changed = not (same_scaling and _same_towers(challenger, champion))
    own_recall = own.metrics.recall_at_10 if about is None else own.metrics.recall_at_50 or 0.0
    recall = own_recall if not changed else _recall(challenger, champion, exam, about, workers)
    kept = recall / own_recall if own_recall else float(not changed)
    return CompatibilityReport(
        version=version,
        recall=recall,
        own_recall=own_recall,
        kept=kept,
        compatible=kept >= limit,
        limit=limit,
        towers_changed=changed,
        figure="recall_at_10" if about is None else "recall_at_50",
    )


def _same_towers(one: TwoTower, other: TwoTower) -> bool:
    """Whether both towers have the same weights, bit for bit."""
    mine, its = ([*model.query.get_weights(), *model.candidate.get_weights()] for model in (one, other))
    return len(mine) == len(its) and all(np.array_equal(*both) for both in zip(mine, its, strict=True))


def _recall(asking: TwoTower, answering: TwoTower, exam: Exam, about: OutcomeExam | None, workers: Workers) -> float:
    """Recall of the queries of one model among the candidates of another; none where embeddings differ in size."""
    if asking.query.output_shape != answering.candidate.output_shape:
        return 0.0
    queries = embed(asking, QUERY, exam.raw, exam.queries if about is None else about.asked)
    candidates = embed(answering, CANDIDATE, exam.raw, exam.corpus)
    if about is not None:
        told = answer(about, queries, candidates, answering.scale(), workers)
        return float(told.summed(np.ones(len(told))).figures()["recall_at_50"])
    if not exam.nearest:
        return 0.0
    best = search(queries, exam.queries, candidates, exam.corpus, exam.nearest, workers=workers)
    return float(nearest_found(exam, best).mean() / exam.nearest)
