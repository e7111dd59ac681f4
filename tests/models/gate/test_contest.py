"""All models of a cycle are asked about held-out labels too, by slice, and what judges is what the objective learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from schemas.compatibility import CompatibilityReport
from schemas.cycle import CycleKind, GateReport, Outcome
from schemas.labels import LabelGroup
from schemas.policies import Objective
from tests.models.test_cycle import Bench
from tests.tastes import outcomes_of
from tests.worlds import GROUP, names
from trainer.exam.retrieval import nearest
from trainer.gate.contest import run_contest
from trainer.labels.outcomes import Outcomes
from trainer.matrix.population import Population, populate
from trainer.opponents import Opponents, opponents_of
from trainer.space import Space


@dataclass(frozen=True)
class Contest:
    """A bootstrapped bench, and everything that a contest takes."""

    bench: Bench
    space: Space
    population: Population
    opponents: Opponents

    def outcomes(self) -> Outcomes:
        """Each user follows two of the ten nearest: the input cosine knows something of it."""
        rows, directions = self.population.everyone, self.space.matrix.directions
        ten = nearest(directions, rows, directions, rows, 10)
        chosen = np.random.default_rng(0).permuted(ten, axis=1)[:, :2]
        pairs = np.sort(np.stack([np.repeat(rows, 2), chosen.ravel()], axis=1), axis=1)
        return outcomes_of(np.unique(pairs, axis=0), self.population.part)

    def hold(self, objective: Objective, outcomes: Outcomes | None) -> GateReport:
        return self.both(objective, outcomes)[0]

    def both(
        self, objective: Objective, outcomes: Outcomes | None, harm: float = 0.0
    ) -> tuple[GateReport, CompatibilityReport | None]:
        settings = self.bench.settings.model_copy(
            update={
                "labels": LabelGroup(),
                "fit": self.bench.settings.fit.model_copy(update={"objective": objective}),
            }
        )
        request = self.bench.request("c2", CycleKind.INCREMENTAL, names(100), 1, settings)
        assert self.opponents.champion is not None
        challenger, spaces = self.opponents.champion.copy(), settings.work_dir / "spaces"
        *first, last = challenger.candidate.get_weights()
        challenger.candidate.set_weights([*first, last + harm])
        return run_contest(self.space, self.population, challenger, self.opponents, request, spaces, 0, outcomes)


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contest]:
    folder: Path = tmp_path_factory.mktemp("contest")
    bench = Bench(folder)
    assert bench.run(bench.request("c1", CycleKind.BOOTSTRAP)).outcome is Outcome.REGISTERED
    opponents = opponents_of(bench.registry, bench.request("c2", CycleKind.INCREMENTAL, names(100), 1))
    assert opponents.champion is not None
    info = opponents.champion.manifest.space
    space = Space.open(bench.settings.work_dir / "spaces" / info.space_id, info, GROUP, None)
    assert space is not None
    with closing(space):
        yield Contest(bench, space, populate(space.matrix, bench.settings.split), opponents)
    bench.store.close()


@pytest.mark.full
@pytest.mark.parametrize("objective", list(Objective))
def test_everybody_is_asked_about_labels_and_they_judge_where_they_are_learned(
    contest: Contest, objective: Objective
) -> None:
    report = contest.hold(objective, contest.outcomes())
    assert report.outcome == "passed"
    assert report.judged_by == ("outcomes" if objective.has_outcomes else "similarity")
    assert report.labels > 100
    assert report.challenger is not None
    assert report.challenger.outcome_auc is not None
    assert report.challenger.outcome_auc > 0.8
    assert report.champion == report.challenger
    assert report.fresh is not None
    assert report.fresh.recall_at_50 is not None
    assert report.asks_full is None
    compared = {one.figure for one in report.comparisons if one.slice is None}
    assert ("outcome_auc" in compared) is objective.has_outcomes
    assert ("accuracy" in compared) is not objective.has_outcomes
    of_slices = [part.challenger for part in report.slices.values() if part.challenger is not None]
    assert any(one.outcome_auc is not None for one in of_slices)


def test_the_figure_that_judges_says_whether_the_champions_vectors_stay_good(contest: Contest) -> None:
    _, same = contest.both(Objective.OUTCOMES, None)
    assert same is not None
    assert (same.version, same.figure, same.kept, same.towers_changed) == (1, "recall_at_10", 1.0, False)
    report, other = contest.both(Objective.OUTCOMES, contest.outcomes(), harm=0.01)
    assert report.champion is not None
    assert other is not None
    assert (other.figure, other.towers_changed) == ("recall_at_50", True)
    assert other.own_recall == report.champion.recall_at_50


def test_without_labels_the_input_cosine_judges_and_the_record_says_why(contest: Contest) -> None:
    report = contest.hold(Objective.OUTCOMES, None)
    assert (report.outcome, report.judged_by, report.labels) == ("passed", "similarity", 0)
    assert any(note.startswith("judged by the input cosine: 0 positive labels of 0 users") for note in report.notes)
    assert report.challenger is not None
    assert report.challenger.outcome_auc is None
    notes = contest.hold(Objective.SIMILARITY, None).notes
    assert not any("judged by the input cosine" in note for note in notes)
