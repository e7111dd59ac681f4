"""All models of a cycle are asked about held-out labels too, by slice, and what judges is what the objective learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.compatibility import CompatibilityReport
from schemas.cycle import CycleKind, GateReport, Metrics, Outcome
from schemas.labels import LabelGroup
from schemas.policies import GatePolicy, Objective
from stores.feature_store import Floats
from tests.models.test_cycle import Bench
from tests.tastes import outcomes_of
from tests.worlds import GROUP, names
from trainer.exam.evaluate import Score, _embed, scores
from trainer.exam.retrieval import nearest
from trainer.gate.contest import run_contest
from trainer.labels.outcomes import Outcomes
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population, populate
from trainer.model import CANDIDATE, TwoTower
from trainer.opponents import Opponents, opponents_of
from trainer.space import Space


@dataclass(frozen=True)
class Contest:
    """A bootstrapped bench, and everything that a contest takes."""

    bench: Bench
    space: Space
    population: Population
    opponents: Opponents
    gate: GatePolicy

    def with_fresh_margin(self, margin: float) -> Contest:
        return replace(self, gate=self.gate.model_copy(update={"fresh_margin": margin}))

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
                "gate": self.gate,
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
        yield Contest(bench, space, populate(space.matrix, bench.settings.split), opponents, bench.settings.gate)
    bench.store.close()


@pytest.mark.full
@pytest.mark.parametrize("objective", list(Objective))
def test_everybody_is_asked_about_labels_and_they_judge_where_they_are_learned(
    contest: Contest, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.gate.judgement.no_room", lambda *_: False)  # the fresh start is asked, too
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


def test_a_fresh_start_that_cannot_win_is_not_scored_and_the_record_says_why(
    contest: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = contest.with_fresh_margin(0.9)
    unscored = near.hold(Objective.SIMILARITY, None)
    monkeypatch.setattr("trainer.gate.judgement.no_room", lambda *_: False)
    scored = near.hold(Objective.SIMILARITY, None)
    assert scored.fresh is not None
    assert not any("a fresh start was not scored" in note for note in scored.notes)
    assert unscored.fresh is None
    assert any(note.startswith("a fresh start was not scored: with average precision") for note in unscored.notes)
    assert unscored.model_copy(update={"fresh": scored.fresh, "notes": scored.notes}) == scored


def test_a_champion_that_was_good_and_is_not_today_meets_a_fresh_start(
    contest: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures of its own exam only decide what is scored beside what."""
    early = contest.with_fresh_margin(1e-6).hold(Objective.SIMILARITY, None)
    monkeypatch.setattr("trainer.gate.contest.own_figures", lambda _champion: dict.fromkeys(Metrics.model_fields, 1.0))
    late = contest.with_fresh_margin(1e-6).hold(Objective.SIMILARITY, None)
    assert late.fresh is not None
    assert late == early


def test_models_of_the_same_weights_are_scored_once(contest: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(models: Sequence[TwoTower], *of: Any) -> list[Score]:
        asked.append(len(models))
        return scores(models, *of)

    monkeypatch.setattr("trainer.gate.contest.scores", counted)
    near = contest.with_fresh_margin(0.9)
    same, _ = near.both(Objective.SIMILARITY, None)
    other, _ = near.both(Objective.SIMILARITY, None, harm=0.01)
    assert asked == [1, 2]
    assert same.challenger == same.champion == other.champion
    assert other.challenger != other.champion


def test_the_champion_embeds_everybody_once(contest: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the exam and for the index of its vectors, with the figures that it has where it does so twice."""
    made: list[str] = []

    def counted(model: TwoTower, name: str, raw: Floats, rows: Rows) -> Floats:
        made.append(name)
        return _embed(model, name, raw, rows)

    monkeypatch.setattr("trainer.exam.evaluate._embed", counted)
    twice = contest.both(Objective.SIMILARITY, None, harm=0.01)
    of_twice = made.count(CANDIDATE)
    made.clear()
    once = replace(contest, opponents=contest.opponents.remembering()).both(Objective.SIMILARITY, None, harm=0.01)
    assert made.count(CANDIDATE) == of_twice - 1
    assert once == twice


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
