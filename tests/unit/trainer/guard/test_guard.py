"""The guard's rules: what holds, what does not, what is said, and what an operator has waived."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cycle import CycleKind
from schemas.guard import Finding, GuardName, GuardReport
from schemas.manifest import SpaceInfo
from schemas.policies import GuardPolicy
from tests.worlds import GROUP
from trainer.guard.guard import Guard, reason, way_out, wilson_bound, words
from trainer.guard.measures import labels_kept, losses, scaled_alike, similar_share
from trainer.matrix.scaling import fit_space

POLICY = GuardPolicy()
GUARD = Guard(POLICY)
NOT_FINITE = "taste has a number that is not finite, or too large to be scaled"


def refused(count: int) -> dict[str, str]:
    return {f"u{number}": NOT_FINITE for number in range(count)}


def test_what_is_beyond_a_limit_says_figure_limit_setting_and_cause() -> None:
    said = words(GUARD.refused(745, {**refused(754), "v": "year is missing"}))
    assert said == (
        "of 1,500 users read 50.33 % were refused, more than the limit of 10 % (RETRAINER_GUARD__REFUSED_SHARE); "
        f"most often (754 times): {NOT_FINITE}"
    )


@pytest.mark.parametrize(
    ("read", "bad", "holds"),
    [
        (3, 3, False),
        (29, 29, False),
        (30, 4, False),
        (30, 9, True),
        (3000, 301, False),
        (3000, 350, True),
        (0, 0, False),
    ],
)
def test_a_handful_of_refused_rows_holds_nothing(read: int, bad: int, holds: bool) -> None:
    assert GUARD.refused(read - bad, refused(bad)).exceeded is holds


@pytest.mark.parametrize(
    ("finding", "holds"),
    [
        (GUARD.deleted(50, 1000), False),
        (GUARD.deleted(667, 1000), True),
        (GUARD.deleted(2, 3), False),
        (GUARD.lost(301, 1000), True),
        (GUARD.lost_pairs(23_584, 6_430), True),
        (GUARD.lost_pairs(100, 250), False),
        (GUARD.similar(1.0, 400, 79_800), True),
        (GUARD.similar(0.0, 400, 0, learned=False), False),
        (GUARD.similar(0.02, 400, 1_600), False),
        (GUARD.similar(0.0, 400, 0), True),
        (GUARD.similar(0.0, 12, 0), False),
        (GUARD.mean_z({"year": 0.2, "age": -3.4}, 400), True),
        (GUARD.mean_z({"year": 1.0}, 400), False),
        (GUARD.outliers({"year": 0.2}, 400), True),
        (GUARD.outliers({"year": 0.05}, 400), False),
        (GUARD.outside(0.7, 0.05, 400), True),
        (GUARD.outside(0.7, 0.6, 400), False),
        (GUARD.moved(256, 0, 0, 256), True),
        (GUARD.moved(10, 10, 10, 256), False),
        (GUARD.labels_moved(0.04, 400), True),
        (GUARD.labels_moved(0.9, 400), False),
        (GUARD.refused_labels(70, dict.fromkeys([("a", str(n)) for n in range(30)], "no such word")), True),
        (GUARD.refused_labels(990, dict.fromkeys([("a", str(n)) for n in range(10)], "no such word")), False),
        (GUARD.lost_labels(301, 1000), True),
        (GUARD.lost_labels(299, 1000), False),
    ],
)
def test_every_figure_has_its_limit(finding: Finding, holds: bool) -> None:
    assert finding.exceeded is holds
    assert finding.limit == getattr(POLICY, finding.name)
    assert words(finding)


def test_a_limit_of_one_switches_a_share_off() -> None:
    off = Guard(GuardPolicy(refused_share=1, deleted_share=1))
    assert not off.refused(0, refused(400)).exceeded
    assert not off.deleted(400, 400).exceeded


def test_what_is_accepted_holds_nothing_and_is_on_record() -> None:
    accepting = Guard(POLICY, (GuardName.DELETED_SHARE,))
    report = GuardReport(findings=(accepting.deleted(700, 1000), accepting.lost(50, 1000)))
    assert report.holding == ()
    assert [(one.exceeded, one.accepted) for one in report.findings] == [(True, True), (False, False)]


def test_who_accepts_that_users_are_lost_accepts_that_of_their_pairs() -> None:
    guard = Guard(POLICY, (GuardName.LOST_SHARE,))
    assert guard.lost_pairs(1000, 100, [guard.lost(700, 1000)]).accepted
    assert not guard.lost_pairs(1000, 100, [guard.lost(100, 1000)]).accepted
    assert not GUARD.lost_pairs(1000, 100, [GUARD.lost(700, 1000)]).accepted


def test_who_accepts_outliers_accepts_that_they_move_the_mean() -> None:
    guard = Guard(POLICY, (GuardName.OUTLIER_SHARE,))
    assert guard.mean_z({"year": 5.0}, 400, [guard.outliers({"year": 0.9}, 400)]).accepted
    assert not guard.mean_z({"year": 5.0}, 400, [guard.outliers({"year": 0.0}, 400)]).accepted


def test_the_way_out_names_every_limit_to_be_waived() -> None:
    report = GuardReport(findings=(GUARD.refused(500, refused(500)), GUARD.deleted(0, 900), GUARD.lost(450, 900)))
    assert "500 times" in reason(report)
    assert "RETRAINER_GUARD__LOST_SHARE" in reason(report)
    assert "DELETED" not in reason(report)
    assert way_out(report, CycleKind.INCREMENTAL).endswith(
        "if the data are right: `retrainer train --accept REFUSED_SHARE --accept LOST_SHARE`"
    )
    assert "`retrainer train --full --accept" in way_out(report, CycleKind.FULL)


def test_frozen_scaling_and_axes_are_not_accepted_but_made_anew() -> None:
    report = GuardReport(findings=(GUARD.mean_z({"year": 9.0}, 400),))
    assert "`retrainer train --full --accept MEAN_Z`" in way_out(report, CycleKind.INCREMENTAL)
    alike = GuardReport(findings=(GUARD.similar(0.8, 400, 64_000),))
    assert "--full" not in way_out(alike, CycleKind.INCREMENTAL)
    drifted = alike.model_copy(update={"asks_full": "year has moved by +2.00 standard deviations"})
    assert "`retrainer train --full --accept SIMILAR_SHARE`" in way_out(drifted, CycleKind.INCREMENTAL)


def test_a_scalar_that_drifts_asks_for_a_full_retrain_long_before_it_is_held() -> None:
    assert GUARD.drifting({"year": 0.4, "age": -0.5}) is None
    assert GUARD.drifting({}) is None
    asked = GUARD.drifting({"year": 1.0, "age": -0.5})
    assert asked is not None
    assert asked.startswith("year has moved by +1.00 standard deviations")
    assert "RETRAINER_GUARD__DRIFTING_Z" in asked


@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_bound_of_a_share_lies_below_it_and_comes_nearer_with_more_users(of: int, share: float) -> None:
    count = round(share * of)
    bound = wilson_bound(count, of)
    assert 0 <= bound <= count / of
    assert wilson_bound(10 * count, 10 * of) >= bound
    assert (bound == 0) == (count == 0)


names_of = st.sets(st.sampled_from("abcdefghij"))


@given(names_of, names_of, names_of)
def test_who_is_lost_is_deleted_or_refused(known: set[str], present: set[str], unsound: set[str]) -> None:
    deleted, lost = losses(known, present, unsound)
    assert lost == sum(user not in present for user in known)
    assert deleted == sum(user not in present and user not in unsound for user in known)


def rows(count: int, year: float = 2000.0, spread: float = 8.0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    drawn = np.random.default_rng(0).normal(size=(count, GROUP.width))
    drawn[:, -1] = year + spread * drawn[:, -1]
    return drawn.astype(np.float32)


def test_pairs_of_two_scalings_are_compared_only_where_both_put_the_users_in_about_the_same_place() -> None:
    before = fit_space("s", GROUP, rows(500))
    for year, spread, alike in ((2001.0, 8.0, True), (2006.0, 8.0, False), (2000.0, 14.0, True), (2000.0, 18.0, False)):
        after = fit_space("t", GROUP, rows(500, year, spread))
        assert scaled_alike(before, after, moved=0.5) is alike
        assert scaled_alike(after, before, moved=0.5) is alike
    assert not scaled_alike(before, fit_space("t", GROUP, rows(500, spread=0)), moved=0.5)
    assert not scaled_alike(before, SpaceInfo(space_id="t", scalars={}), moved=0.5)


def test_the_similar_share_is_that_of_all_pairs_whatever_the_cap() -> None:
    directions = np.eye(5, dtype=np.float32)[np.arange(60) % 3]
    share = similar_share(directions, np.arange(60), 0.8, seed=0)
    assert share == pytest.approx(19 / 59)
    assert similar_share(directions[:1], np.arange(1), 0.8, seed=0) == 0
    assert similar_share(np.ones((2000, 1), dtype=np.float32), np.arange(2000), 0.8, seed=0) == 1


def test_rows_without_a_key_are_refused_rows() -> None:
    found = GUARD.refused(300, {}, keyless=200)
    assert found.exceeded
    assert (found.figure, found.of) == (0.4, 500)
    assert "the row has no key" in words(found)


def test_a_scaling_that_has_aged_asks_for_a_full_retrain_before_its_mean_has_moved_far() -> None:
    """Newcomers of other genres moved the mean by a tenth of a deviation, and a tenth of the labels with it."""
    assert GUARD.drifting({"year": 0.1}, kept=0.985) is None
    asked = GUARD.drifting({"year": 0.1}, kept=0.9)
    assert asked is not None
    assert "by today's scaling 10 % of the similar pairs are others, more than 2 %" in asked


def test_labels_kept_is_the_jaccard_index_of_the_similar_pairs() -> None:
    draw = np.random.default_rng(0)
    one = draw.normal(size=(300, 4)).astype(np.float32)
    other = one + 0.3 * draw.normal(size=one.shape).astype(np.float32)
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other))
    by_one, by_other = (np.triu(rows @ rows.T > 0.8, 1) for rows in (one, other))
    expected = (by_one & by_other).sum() / (by_one | by_other).sum()
    assert labels_kept(one, other, 0.8) == pytest.approx(expected)
    assert labels_kept(one, one, 0.8) == 1.0
    assert labels_kept(one[:1], other[:1], 0.8) == 1.0
