"""Real towers, spoiled in every way we could think of, as challengers of the model that they were made of.

What a spoil costs is measured on everybody, of whom the exam has a seventh: so a verdict can be compared with the
truth. The rules that the gate is compared with are asked as they were in the first release: dissimilar pairs at random.
Chains take many small steps, each the challenger of the one before, with the first as baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gate_study.rules import RULES
from benchmarks.site import Site
from retrainer.demo.audience import COLUMNS, GeneratedAudience
from schemas.cycle import GateReport
from schemas.features import FeatureGroup
from schemas.policies import GatePolicy, PairPolicy
from stores.features.local import LocalFeatureStore
from stores.features.reading import read_all
from trainer.exam.evaluate import Score, score
from trainer.exam.exam import Exam, PairSet, prepare_exam
from trainer.gate.comparison import Rival
from trainer.gate.gate import CHAMPION, judge
from trainer.learning.initial_weights import set_initial_weights
from trainer.matrix.scaling import to_directions
from trainer.model import TwoTower, build
from trainer.pairs.negatives import draw_negatives

Spoil = Callable[[TwoTower], None]

NOISE = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.2, 1.0)
_GROUP = FeatureGroup(name="spoiled_listeners", columns=COLUMNS)
_HARMLESS = 0.001  # smaller differences do not matter to a reader
_LONGEST_CHAIN = 40


def noise(size: float, seed: int = 0) -> Spoil:
    """Every weight gets noise of so many standard deviations of its array."""

    def do(model: TwoTower) -> None:
        draw = np.random.default_rng(seed)
        for tower in (model.query, model.candidate):
            weights = tower.get_weights()
            tower.set_weights([one + (size * one.std() * draw.normal(size=one.shape)).astype("f4") for one in weights])

    return do


def line_at(cosine: float) -> Spoil:
    """The decision line lies at another cosine."""

    def do(model: TwoTower) -> None:
        scale, _ = model.scale()
        model.rescale(scale, -scale * cosine)

    return do


def line_by(step: float) -> Spoil:
    """The decision line moves by so much cosine."""

    def do(model: TwoTower) -> None:
        scale, bias = model.scale()
        model.rescale(scale, bias - scale * step)

    return do


def scaled(factor: float) -> Spoil:
    """Scale and bias are multiplied: the same line, other probabilities."""

    def do(model: TwoTower) -> None:
        scale, bias = model.scale()
        model.rescale(scale * factor, bias * factor)

    return do


def of_weights(change: Callable[[list[Any]], None], *towers: str) -> Spoil:
    """The weights of a tower are changed in place."""

    def do(model: TwoTower) -> None:
        for name in towers or ("query", "candidate"):
            tower = getattr(model, name)
            weights = tower.get_weights()
            change(weights)
            tower.set_weights(weights)

    return do


def _swap_rows(weights: list[Any]) -> None:
    weights[0][:] = np.roll(weights[0], 1, axis=0)


def _constant(weights: list[Any]) -> None:
    weights[4][:], weights[5][:] = 0.0, 1.0


def _no_number(weights: list[Any]) -> None:
    weights[0][0, 0] = np.nan


def _permute(weights: list[Any]) -> None:
    order = np.random.default_rng(0).permutation(weights[4].shape[1])
    weights[4], weights[5] = weights[4][:, order], weights[5][order]


def _drop(block: str) -> Callable[[list[Any]], None]:
    def change(weights: list[Any]) -> None:
        weights[0][_GROUP.slices()[block]] = 0.0

    return change


SPOILS: dict[str, Spoil] = {
    "itself": lambda _model: None,
    **{f"noise {size}": noise(size) for size in NOISE},
    "input rows swapped": of_weights(_swap_rows),
    "all embeddings the same": of_weights(_constant),
    "candidates the same": of_weights(_constant, "candidate"),
    "candidate outputs permuted": of_weights(_permute, "candidate"),
    "one weight NaN": of_weights(_no_number, "query"),
    **{f"block {column.name} dropped": of_weights(_drop(column.name)) for column in COLUMNS},
    **{f"line at cosine {at}": line_at(at) for at in (0.4, 0.6, 0.7, 0.75, 0.78, 0.82, 0.85, 0.9)},
    "always no": lambda model: model.rescale(1.0, -60.0),
    "always yes": lambda model: model.rescale(1.0, 60.0),
    "scale negated": scaled(-1.0),
    "scale divided by 5": scaled(0.2),
    "scale divided by 50": scaled(0.02),
}

CHAINS: dict[str, Callable[[int], Spoil]] = {
    "noise, a little each time": lambda step: noise(0.0005, step),
    "line, 0.0005 lower each time": lambda _step: line_by(-0.0005),
    "line, 0.0005 higher each time": lambda _step: line_by(0.0005),
    "scale, 2 % less each time": lambda _step: scaled(0.98),
}


class Stage:
    """A champion, the exam its gate would set, and another exam that tells the truth."""

    def __init__(self, folder: Path, users: int, ratio: int = 1) -> None:
        source = GeneratedAudience(users)
        store = LocalFeatureStore(folder / "store.db", _GROUP)
        store.commit(dict(source.initial().upserts))
        self.site = Site(folder, folder / "store.db", _GROUP, pairs=PairPolicy(negative_ratio=ratio))
        first = self.site.run("first", [])
        assert first.version is not None, first.reason
        self.version = first.version
        self.exam = self.site.exam(first.version)
        self.truth = self._truth(store)
        self.easy = self._easy()
        self.champion = score(self.site.model(first.version), self.exam)
        self.champion_easily = score(self.site.model(first.version), self.easy)
        store.close()

    def _truth(self, store: LocalFeatureStore) -> Exam:
        """Everybody, asked about everybody: far more pairs than any gate sees."""
        space = self.site.manifest(self.version).space
        rows = read_all(store, _GROUP, set(), lambda _done: None)
        directions = to_directions(space, _GROUP, rows.raw)
        everyone = np.arange(len(rows.keys))
        return prepare_exam(rows.raw, directions, everyone, everyone, PairPolicy(), seed=1)

    def _easy(self) -> Exam:
        """The same similar pairs beside dissimilar ones at random."""
        exam, draw = self.exam, np.random.default_rng(0)
        similar = exam.pairs.rows[exam.pairs.similar]
        others = draw_negatives(exam.directions, similar[:, 0], exam.corpus, 0.8, draw)
        rows = np.concatenate([similar, others])
        return replace(exam, pairs=PairSet(rows, np.arange(len(rows)) < len(similar)))

    def others(self) -> dict[str, TwoTower]:
        """Models that are sound, but not for this space: of users who are gone, and of columns in another order."""
        space, policy = self.site.manifest(self.version).space, self.site.settings.fit
        directions = self.exam.directions
        rows = self.exam.corpus
        found = {}
        for name, shown in {
            "a stale copy, of a twentieth of the users": directions[rows[::20]],
            "towers of another space": np.roll(directions[rows], 37, axis=1),
        }.items():
            model = build(space, _GROUP, policy.dropout, policy.learning_rate)
            set_initial_weights(model, np.ascontiguousarray(shown), np.arange(len(shown)), 0.8)
            found[name] = model
        return found


def spoil(folder: Path, users: int) -> list[dict[str, Any]]:
    """What each rule says of each spoiled copy, beside what it costs."""
    stage = Stage(folder, users)
    true = score(stage.site.model(stage.version), stage.truth)
    rows: list[dict[str, Any]] = []
    models: dict[str, Callable[[], TwoTower]] = {name: _spoiled(stage, how) for name, how in SPOILS.items()}
    rows += [_row(name, stage, make(), true) for name, make in models.items()]
    rows += [_row(name, stage, model, true) for name, model in stage.others().items()]
    return rows


def chain(folder: Path, users: int) -> list[dict[str, Any]]:
    """How far small steps come before the gate stops them, with and without the baseline."""
    stage = Stage(folder, users)
    rows = []
    for name, step in CHAINS.items():
        for guarded in (True, False):
            model = stage.site.model(stage.version)
            last, report, passed = stage.champion, None, 0
            for number in range(_LONGEST_CHAIN):
                step(number)(model)
                found = score(model, stage.exam)
                rivals = [Rival(CHAMPION, [last])]
                rivals += [Rival("version 1", [stage.champion])] if guarded else []
                report = judge(GatePolicy(), [found], rivals, {}, number)
                if report.outcome != "passed":
                    break
                last, passed = found, passed + 1
            rows.append(_chain_row(name, passed, stage.champion, last, report, guarded=guarded))
    return rows


def _spoiled(stage: Stage, how: Spoil) -> Callable[[], TwoTower]:
    def make() -> TwoTower:
        model = stage.site.model(stage.version)
        how(model)
        return model

    return make


def _row(name: str, stage: Stage, model: TwoTower, true: Score) -> dict[str, Any]:
    told, asked = score(model, stage.truth), {"the gate": (score(model, stage.exam), stage.champion)}
    easily = (score(model, stage.easy), stage.champion_easily)
    figures = ("accuracy", "precision", "recall", "average_precision", "recall_at_10")
    costs = {one: (getattr(told.metrics, one) or 0.0) - (getattr(true.metrics, one) or 0.0) for one in figures}
    costs["calibration_error"] = true.metrics.calibration_error - told.metrics.calibration_error
    return {
        "spoil": name,
        **costs,
        "harmful": min(costs.values()) < -_HARMLESS,
        **{rule: how(*asked.get(rule, easily), 0) for rule, how in RULES.items()},
    }


def _chain_row(
    name: str, passed: int, start: Score, last: Score, report: GateReport | None, *, guarded: bool
) -> dict[str, Any]:
    one, other = start.metrics, last.metrics
    return {
        "chain": name,
        "baseline": guarded,
        "passed": passed,
        "precision": (other.precision or 0.0) - (one.precision or 0.0),
        "recall": (other.recall or 0.0) - (one.recall or 0.0),
        "recall_at_10": other.recall_at_10 - one.recall_at_10,
        "calibration_error": one.calibration_error - other.calibration_error,
        "stopped": None if report is None or report.outcome == "passed" else report.reason,
    }
