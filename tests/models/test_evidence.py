"""The evidence of a cycle: it holds the figures that the gate has seen, whatever the outcome, and costs no cycle."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from schemas.cycle import CycleKind, CycleResult, Metrics, Outcome, Slice
from schemas.evidence import Curve, Evidence, ModelEvidence
from schemas.reports import EVIDENCE_FILE, PAGE_FILE
from stores.registry.files import read_manifest
from tests.models.reported import Reported, all_of
from trainer.evidence import keeper
from trainer.evidence.files import read_evidence
from trainer.report.files import draw_page

pytestmark = pytest.mark.full  # all of them look at the same long story


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reported, dict[Outcome, CycleResult]]:
    return all_of(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="module")
def registered(loop: tuple[Reported, dict[Outcome, CycleResult]]) -> Evidence:
    reported, results = loop
    return reported.evidence(results[Outcome.REGISTERED])


@pytest.fixture(scope="module")
def refused(loop: tuple[Reported, dict[Outcome, CycleResult]]) -> Evidence:
    reported, results = loop
    return reported.evidence(results[Outcome.REJECTED])


def area(curve: Curve | None) -> float:
    assert curve is not None
    return float(np.trapezoid(curve.y, curve.x))


def judged(evidence: Evidence, name: str) -> Metrics:
    assert evidence.result.gate is not None
    found: Metrics | None = getattr(evidence.result.gate, name)
    assert found is not None
    return found


def test_each_outcome_is_there(loop: tuple[Reported, dict[Outcome, CycleResult]]) -> None:
    _, results = loop
    assert set(results) == {Outcome.REGISTERED, Outcome.REJECTED, Outcome.UNCHANGED, Outcome.HELD}


@pytest.mark.parametrize("name", ["champion", "challenger"])
@pytest.mark.parametrize("which", ["registered", "refused"])
def test_curves_are_those_of_the_figures(which: str, name: str, request: pytest.FixtureRequest) -> None:
    evidence: Evidence = request.getfixturevalue(which)
    metrics = judged(evidence, name)
    model: ModelEvidence = evidence.models[name]  # type: ignore[index]
    assert metrics.auc is not None
    assert area(model.roc) == pytest.approx(metrics.auc, abs=0.01)
    assert metrics.average_precision is not None
    assert area(model.precision_recall) == pytest.approx(metrics.average_precision, abs=0.03)
    pairs = sum(one.pairs for one in model.calibration)
    error = sum(abs(one.gap) * one.pairs for one in model.calibration) / max(pairs, 1)
    assert error == pytest.approx(metrics.calibration_error, abs=1e-4)
    assert evidence.result.gate is not None
    counts = sum(model.histogram.similar), sum(model.histogram.dissimilar)
    assert sum(counts) == evidence.result.gate.pairs
    assert min(counts) > 0


def test_a_spoiled_challenger_shows_in_every_part(refused: Evidence) -> None:
    def overlap(model: ModelEvidence) -> float:
        similar, other = (
            np.array(counts) / sum(counts) for counts in (model.histogram.similar, model.histogram.dissimilar)
        )
        return float(np.minimum(similar, other).sum())

    good, bad = refused.models["champion"], refused.models["challenger"]
    assert overlap(bad) > overlap(good) + 0.05
    assert area(bad.precision_recall) < area(good.precision_recall) - 0.03
    figures = {(one.model, one.figure): one for one in refused.intervals if one.slice is None}
    assert figures["challenger", "recall_at_10"].high < figures["champion", "recall_at_10"].low
    assert min(one.kept for one in refused.neighbourhoods) <= 5


def test_intervals_hold_their_figures_over_all_and_over_each_slice(registered: Evidence) -> None:
    assert all(one.low <= one.value <= one.high for one in registered.intervals)
    assert {one.slice for one in registered.intervals} >= {None, Slice.UNCHANGED}
    whole = {one.figure: one.value for one in registered.intervals if (one.model, one.slice) == ("challenger", None)}
    metrics = judged(registered, "challenger")
    assert {name: getattr(metrics, name) for name in whole} == pytest.approx(whole, abs=1e-5)


def test_the_neighbourhoods_that_changed_most_come_first(registered: Evidence, refused: Evidence) -> None:
    for evidence in (registered, refused):
        found = evidence.neighbourhoods
        assert len(found) == 10
        assert [one.kept for one in found] == sorted(one.kept for one in found)
        for one in found:
            before, after = ({each.user for each in side} for side in (one.before, one.after))
            assert len(before) == len(after) == 10
            assert len(before & after) == one.kept
            assert one.user not in before | after
            cosines = [each.cosine for each in one.before]
            assert cosines == sorted(cosines, reverse=True)
    claimed = {f"u{number}" for number in (*range(30), *range(400, 420))}
    assert {one.user for one in registered.neighbourhoods if one.claimed} == {
        one.user for one in registered.neighbourhoods if one.user in claimed
    }


def test_epochs_are_those_of_both_fits(registered: Evidence) -> None:
    assert [(one.fit, one.number) for one in registered.epochs] == [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6)]


def test_a_cycle_that_ended_early_has_what_it_had(loop: tuple[Reported, dict[Outcome, CycleResult]]) -> None:
    reported, results = loop
    unchanged, held = (reported.evidence(results[one]) for one in (Outcome.UNCHANGED, Outcome.HELD))
    assert set(unchanged.models) == {"champion"}
    assert all(one.before and not one.after for one in unchanged.neighbourhoods)
    assert (held.models, held.epochs, held.intervals, held.neighbourhoods) == ({}, (), (), ())
    failed = reported.failed()
    assert failed.outcome is Outcome.FAILED
    assert "no</b> more memory" in reported.evidence(failed).result.reason


def test_a_version_carries_its_page_and_the_manifest_names_it(tmp_path: Path) -> None:
    reported = Reported(tmp_path, html=True)
    result = reported.first()
    folder = reported.bench.registry.fetch(1)
    page = (folder / PAGE_FILE).read_text()
    assert "Registered, without a champion to compare with" in page
    assert PAGE_FILE in {entry.path for entry in read_manifest(folder).files}
    assert not (reported.reports / "c1" / PAGE_FILE).exists()  # drawn after the end, when the version has a number
    assert draw_page(reported.reports / "c1") is not None
    assert "Registered as version 1, " in (reported.reports / "c1" / PAGE_FILE).read_text()
    seen = reported.evidence(result)

    again = reported.bench.run(reported.bench.request("c1", CycleKind.BOOTSTRAP))
    kept = read_evidence(reported.reports / "c1")
    assert kept is not None
    assert (kept.models, kept.epochs, kept.result) == (seen.models, seen.epochs, again)


@pytest.mark.parametrize("broken", ["model_evidence", "neighbourhoods", "write_evidence", "PageProcess"])
def test_whatever_goes_wrong_the_cycle_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str) -> None:
    with patch.object(keeper, broken, side_effect=RuntimeError("no evidence")):
        result = Reported(tmp_path, html=True).first()
    assert (result.outcome, result.version) == (Outcome.REGISTERED, 1)
    assert "no evidence" in capsys.readouterr().err


def test_a_page_that_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    reported = Reported(tmp_path, html=True)
    with patch("trainer.evidence.page_process.sys.executable", "/bin/false"):
        assert reported.first().outcome is Outcome.REGISTERED
    assert not (reported.bench.registry.fetch(1) / PAGE_FILE).exists()


def test_nothing_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    reported = Reported(tmp_path, keep=0)
    assert reported.first().outcome is Outcome.REGISTERED
    assert not reported.reports.exists()
    assert not list(tmp_path.rglob(EVIDENCE_FILE))
