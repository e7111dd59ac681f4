"""Chooses the figures that judge the models of a cycle, and judges.

Where the objective has outcomes and enough labels are held out, the labels judge. With fewer labels the input cosine
judges, which a model without labels starts from. Once labels have judged a version, too few labels make the result
inconclusive: the cosine would not show the loss of what was learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import CycleRequest, GateReport, Slice
from schemas.figures import words
from schemas.policies import GatePolicy
from trainer.exam.answers import Sums
from trainer.exam.evaluate import Score
from trainer.exam.exam import Exam
from trainer.exam.outcome_exam import OutcomeExam, lacking
from trainer.gate.comparison import Rival
from trainer.gate.gate import CHAMPION, blind, drift_figures, drifted, first, judge, no_room
from trainer.matrix.embeddings import Rows
from trainer.opponents import LoadedVersion, Opponents


@dataclass(frozen=True, slots=True)
class Judgement:
    """The exams of a cycle, and the verdict on them.

    Attributes:
        request: the cycle's.
        exam: the exam by today's labels of similarity.
        about: the exam on held-out labels, if any.
        slices: rows of all users of both exams, by slice.
        opponents: champion and baseline.
        seed: of what is drawn.
    """

    request: CycleRequest
    exam: Exam
    about: OutcomeExam | None
    slices: Mapping[Slice, Rows]
    opponents: Opponents
    seed: int

    @property
    def policy(self) -> GatePolicy:
        """Margins and sizes."""
        return self.request.settings.gate

    @property
    def lacking(self) -> str | None:
        """Why the held-out labels are too few to judge, where they should; None where they judge, or need not."""
        has = self.request.settings.fit.objective.has_outcomes
        return lacking(self.about, self.policy) if has else None

    @property
    def by_outcomes(self) -> bool:
        """Whether held-out labels judge."""
        return self.request.settings.fit.objective.has_outcomes and self.lacking is None

    def judged(self, by_model: Mapping[str, Sequence[Score]]) -> GateReport:
        """The verdict on the scores by model name, one for each exam of similarity."""
        champion, challenger = by_model.get(CHAMPION), by_model.get("challenger")
        one = (challenger or champion or [])[0]
        notes = () if self.lacking is None else (f"judged by the input cosine: {self.lacking}",)
        if (why := self._blind(one)) is not None:
            return GateReport(
                outcome="inconclusive",
                reason=why,
                users=len(one.answers),
                pairs=len(one.probability),
                challenger=challenger[0].metrics if challenger else None,
                champion=champion[0].metrics if champion else None,
            )
        if challenger is None:
            report = self._unchanged(one)
        elif champion is None:
            report = first(self.policy, one, self.opponents.alone_because, by_outcomes=self.by_outcomes)
        else:
            railed = self.opponents.champion is not None and _judged_by_outcomes(self.opponents.champion)
            rivals = [
                Rival(name, by_model[name], railed and name == CHAMPION)
                for name in by_model
                if name not in ("challenger", "fresh")
            ]
            inside = {name: np.isin(self.exam.queries, rows) for name, rows in self.slices.items()}
            report = judge(self.policy, challenger, rivals, inside, self.seed, self._asked())
        labels = 0 if self.about is None else self.about.labels
        return report.model_copy(update={"notes": (*report.notes, *notes), "labels": labels})

    def asks_full(self, headline: Mapping[str, Score]) -> str | None:
        """Why a full retrain is asked for, from the scores of one exam by model name; None where it is not."""
        fresh = headline.get("fresh")
        if fresh is None or self._blind(fresh) is not None:
            return None
        return drifted(self.policy, self._deciding(fresh), self._standing(headline), self.seed)

    def standing_figures(self, headline: Mapping[str, Score]) -> list[dict[str, float]]:
        """The figures of champion and challenger today, by the scores of one exam by model name."""
        standing = self._standing(headline).values()
        figures = [one.summed(np.ones(len(one))).figures() for one in standing]
        return [{name: float(value) for name, value in one.items()} for one in figures]

    def fresh_may_win(self, standing: Sequence[Mapping[str, float]]) -> bool:
        """Whether a fresh start could be better than all that stand, by the figures of these."""
        return not no_room(self.policy, self._best(standing))

    def why_fresh_cannot_win(self, standing: Sequence[Mapping[str, float]]) -> str:
        """What the record says where it could not."""
        told = " and ".join(f"{words(name)} {figure:.4f}" for name, figure in self._best(standing).items())
        return (
            f"a fresh start was not scored: with {told} nothing can be better by more than {self.policy.fresh_margin}"
        )

    def _best(self, standing: Sequence[Mapping[str, float]]) -> dict[str, float]:
        names = drift_figures(by_outcomes=self.by_outcomes)
        return {name: max((one.get(name, 0.0) for one in standing), default=0.0) for name in names}

    def _standing(self, headline: Mapping[str, Score]) -> dict[str, Sums]:
        return {name: self._deciding(headline[name]) for name in ("challenger", CHAMPION) if name in headline}

    def _deciding(self, one: Score) -> Sums:
        return one.outcomes if self.by_outcomes and one.outcomes is not None else one.answers

    def _blind(self, one: Score) -> str | None:
        if self.by_outcomes:
            return None
        champion = self.opponents.champion
        if self.lacking is not None and champion is not None and _judged_by_outcomes(champion):
            return f"version {champion.version} was judged by outcomes, and now {self.lacking}"
        return blind(self.policy, one)

    def _asked(self) -> dict[Slice, NDArray[np.bool_]] | None:
        if self.about is None or not self.by_outcomes:
            return None
        return {name: np.isin(self.about.asked, rows) for name, rows in self.slices.items()}

    def _unchanged(self, one: Score) -> GateReport:
        assert self.opponents.champion is not None
        figures = one.metrics
        outcomes = (
            f"AUC of outcomes {figures.outcome_auc or 0.0:.4f}, recall@50 {figures.recall_at_50 or 0.0:.4f}, "
            if self.by_outcomes
            else ""
        )
        return GateReport(
            outcome="unchanged",
            reason=(
                f"training changed nothing: version {self.opponents.champion.version} answers for these users today, "
                f"with {outcomes}accuracy {figures.accuracy:.4f}, precision {figures.precision or 0.0:.4f}, recall of "
                f"pairs {figures.recall or 0.0:.4f}, recall@10 {figures.recall_at_10:.4f}"
            ),
            users=len(one.answers),
            pairs=len(one.probability),
            champion=figures,
            judged_by="outcomes" if self.by_outcomes else "similarity",
        )


def own_figures(standing: LoadedVersion) -> dict[str, float]:
    """The figures of a version's own exam, when it was registered. They decide nothing today."""
    return {name: value for name, value in standing.manifest.metrics.model_dump().items() if isinstance(value, float)}


def _judged_by_outcomes(standing: LoadedVersion) -> bool:
    return standing.manifest.gate_report.judged_by == "outcomes"
