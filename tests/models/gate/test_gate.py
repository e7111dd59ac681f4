"""P4: the gate passes what is not worse, refuses what is, and says when it cannot tell; at the rates it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.gate_study.answering import PAIRS_EACH, answered
from schemas.cycle import GateReport, Slice
from schemas.policies import GatePolicy
from trainer.exam.evaluate import Score
from trainer.gate.comparison import Rival
from trainer.gate.gate import CHAMPION, blind, drift_figures, drifted, first, judge, no_room

POLICY = GatePolicy(draws=300)


def judged(
    challenger: Score,
    champion: Score,
    baseline: dict[str, Score] | None = None,
    slices: dict[Slice, NDArray[np.bool_]] | None = None,
    policy: GatePolicy = POLICY,
) -> GateReport:
    rivals = [Rival(CHAMPION, [champion]), *(Rival(name, [one]) for name, one in (baseline or {}).items())]
    return judge(policy, [challenger], rivals, slices or {}, seed=1)


def champion_of(users: int, seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((users, PAIRS_EACH)) < 0.97


def with_churn(right: NDArray[np.bool_], seed: int, share: float = 0.01) -> NDArray[np.bool_]:
    """The same skill, some pairs answered anew."""
    generator = np.random.default_rng(seed)
    return np.where(generator.random(right.shape) < share, generator.random(right.shape) < 0.97, right)


def losing(right: NDArray[np.bool_], loss: float, share: float, seed: int) -> NDArray[np.bool_]:
    """Worse by `loss` in all, borne by a `share` of the users."""
    generator = np.random.default_rng(seed)
    hit = generator.random(len(right)) < share
    return right & ~(hit[:, None] & (generator.random(right.shape) < loss / share / 0.97))


def passed(runs: int, users: int, loss: float, share: float = 1.0) -> int:
    count = 0
    for seed in range(runs):
        right = champion_of(users, seed)
        challenger = with_churn(losing(right, loss, share, seed), seed + 1000)
        count += judged(answered(challenger), answered(right)).outcome == "passed"
    return count


def test_an_equal_model_passes_and_a_better_one_too() -> None:
    assert passed(40, users=800, loss=0.0) >= 36
    right = champion_of(800)
    better = right | (np.random.default_rng(1).random(right.shape) < 0.3)
    assert judged(answered(better), answered(right)).outcome == "passed"


@pytest.mark.parametrize("share", [1.0, 0.04])
@pytest.mark.parametrize("users", [100, 800])
def test_a_model_worse_by_twice_the_margin_does_not_pass(users: int, share: float) -> None:
    assert passed(30, users=users, loss=0.02, share=share) <= (0 if users == 800 else 3)


def test_a_certain_loss_is_refused_whatever_its_size() -> None:
    """The margin of 0.01 forgave a version that was 0.0050 less accurate, its whole interval below zero."""
    right = champion_of(1500)
    challenger = losing(right, 0.004, 1.0, 5)
    report = judged(answered(challenger), answered(right))
    assert report.outcome == "rejected"
    assert "beyond doubt" in report.reason
    assert report.comparisons[0].verdict == "worse"
    assert report.comparisons[0].certain < 0
    headline = next(one for one in report.comparisons if (one.figure, one.slice) == ("accuracy", None))
    assert -0.01 < headline.difference < 0


def test_recall_that_sinks_a_little_each_time_is_refused() -> None:
    """Nineteen challengers in a row, each losing 0.045 recall@10, once all passed."""
    right = champion_of(300)
    report = judged(answered(right, recall=0.855), answered(right, recall=0.9))
    assert report.outcome == "rejected"
    assert "recall@10" in report.reason


def test_small_losses_do_not_add_up() -> None:
    """Each step is a user or two, too few to tell; the way from the best version since the last full retrain is not."""
    start = champion_of(900)
    right, generations = start.copy(), 0
    report = judged(answered(right), answered(start))
    while report.outcome == "passed" and generations < 40:
        challenger = right.copy()
        challenger[2 * generations : 2 * generations + 2, ::2] = False
        report = judged(answered(challenger), answered(right), {"version 3": answered(start)})
        alone = judged(answered(challenger), answered(right))
        right, generations = challenger, generations + 1
    assert 1 < generations < 20
    assert alone.outcome == "passed"
    assert report.outcome != "passed"
    assert "of version 3" in report.reason


def test_what_cannot_be_told_is_inconclusive_and_says_how_many_users_would_tell() -> None:
    right = champion_of(600)
    hit = np.arange(600)[:, None] < 2
    challenger = right & ~(hit & (np.arange(PAIRS_EACH) % 2 == 0))
    report = judged(answered(challenger), answered(right), policy=GatePolicy(draws=300, margin=0.002))
    assert report.outcome == "inconclusive"
    assert report.needed_users is not None
    assert report.needed_users > 600
    assert f"{report.needed_users:,} held-out users would tell" in report.reason


def test_few_users_pass_with_a_note_of_what_could_be_hidden_or_not_by_policy() -> None:
    right = champion_of(100)
    report = judged(answered(right), answered(right))
    assert report.outcome == "passed"
    assert "4.6% could be hidden at 100 users" in report.reason
    assert "could be hidden" in report.notes[0]
    strict = judged(answered(right), answered(right), policy=GatePolicy(draws=300, small_users=0))
    assert strict.outcome == "inconclusive"
    many = champion_of(1000)
    assert judged(answered(many), answered(many)).notes == ()


def test_a_slice_that_loses_is_seen_where_it_is_large_enough() -> None:
    """The newcomers gain what the others lose: on average nothing has changed."""
    right = champion_of(1200)
    new = np.arange(1200) < 120
    before = right & ~(new[:, None] & (np.arange(PAIRS_EACH) % 3 == 0))
    after = right & ~(~new[:, None] & (np.random.default_rng(1).random(right.shape) < 0.02))
    slices = {Slice.NEW: new, Slice.UNCHANGED: ~new}
    report = judged(answered(after), answered(before), slices=slices)
    assert report.outcome == "rejected"
    assert Slice.UNCHANGED in {one.slice for one in report.comparisons if one.verdict == "worse"}
    assert Slice.NEW not in {one.slice for one in report.comparisons if one.verdict == "worse"}
    few = {Slice.NEW: np.arange(1200) < 50}
    assert {one.slice for one in judged(answered(after), answered(before), slices=few).comparisons} == {None}


def test_where_a_slice_cannot_tell_it_says_how_many_users_would_as_a_slice_stays_its_share() -> None:
    """Of everybody there were enough, so it once said that as many would tell as there were."""
    right = champion_of(2000)
    changed = np.arange(2000) < 480
    challenger = np.where(changed[:, None], with_churn(right, 3, share=0.2), right)
    report = judged(answered(challenger), answered(right), slices={Slice.CHANGED: changed})
    assert report.outcome == "inconclusive", report.reason
    assert {one.slice for one in report.comparisons if one.verdict == "unclear"} == {Slice.CHANGED}
    assert report.needed_users is not None
    assert report.needed_users > 2000


def test_between_two_scalings_nobody_is_refused_for_the_others_labels_but_for_being_worse_at_its_own() -> None:
    """Averaged over both, recall fell by 0.22 in a space that had drifted, so no full retrain ever passed."""
    right = champion_of(800)
    few_found = right & (np.arange(PAIRS_EACH) >= PAIRS_EACH // 4)  # by labels that call more users similar
    strangers = right & (np.arange(PAIRS_EACH) < PAIRS_EACH - 4)  # by labels that call fewer so

    def between(challenger: NDArray[np.bool_], at_home: NDArray[np.bool_]) -> GateReport:
        scores = [answered(challenger), answered(few_found)]
        return judge(POLICY, scores, [Rival(CHAMPION, [answered(strangers), answered(at_home)])], {}, seed=1)

    fair = between(with_churn(right, 3), right)
    assert fair.outcome == "passed", fair.reason
    assert fair.difference == pytest.approx(0.0, abs=0.005)
    spoiled = between(losing(right, 0.03, 1.0, 5), right)
    assert spoiled.outcome == "rejected"
    worse_by_both = between(losing(strangers, 0.004, 1.0, 5), right)
    assert worse_by_both.outcome == "rejected"
    assert "beyond doubt" in worse_by_both.reason


def test_the_same_scores_give_the_same_report() -> None:
    right = champion_of(200)
    reports = [judged(answered(with_churn(right, 3)), answered(right)) for _ in range(2)]
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("skill", "recall", "outcome", "word"),
    [(0.97, 0.5, "passed", "floors"), (0.5, 0.5, "rejected", "accuracy"), (0.97, 0.05, "rejected", "recall@10")],
)
def test_the_first_version_needs_the_floors(skill: float, recall: float, outcome: str, word: str) -> None:
    right = np.random.default_rng(0).random((50, PAIRS_EACH)) < skill
    report = first(POLICY, answered(right, recall), "first version")
    assert report.outcome == outcome
    assert word in report.reason


def test_a_first_version_that_always_says_no_is_refused() -> None:
    """It told two thirds of the pairs right with two negatives for each positive."""
    report = first(POLICY, answered(np.tile(np.arange(PAIRS_EACH) >= PAIRS_EACH // 2, (50, 1))), "first version")
    assert report.outcome == "rejected"
    assert "accuracy 0.5000 is below the floor" in report.reason
    assert "precision 0.0000 is below the floor" in report.reason


def test_too_few_held_out_users_cannot_tell() -> None:
    why = blind(POLICY, answered(champion_of(29)))
    assert why is not None
    assert "only 29 held-out users" in why
    assert blind(POLICY, answered(champion_of(30))) is None


def test_where_one_label_is_missing_there_is_no_score_over_half_an_exam() -> None:
    whole = answered(champion_of(200))
    one = whole.answers
    crowd = np.full(200, one.pairs[0])
    zeros = np.zeros(200)
    fields = {name: getattr(one, name) for name in type(one).__slots__}
    all_similar = type(one)(**{**fields, "similar": crowd, "asked_other": zeros, "right_other": zeros})
    why = blind(POLICY, Score(whole.metrics, all_similar, whole.probability))
    assert why is not None
    assert "100.00% of all their pairs are similar" in why
    assert "SIMILARITY_THRESHOLD" in why


def test_where_there_is_no_room_no_fresh_start_wins() -> None:
    """The bound: not even a perfect one, against whoever lacks no more than the margin in each figure."""
    perfect, rooms = np.ones((300, PAIRS_EACH), dtype=bool), 0
    for seed, loss in enumerate(np.linspace(0.0, 0.1, 11)):
        standing = answered(losing(perfect, float(loss), 1.0, seed), recall=1.0 - float(loss)).answers
        figures = standing.summed(np.ones(len(standing))).figures()
        if no_room(POLICY, {name: float(figures[name]) for name in drift_figures(by_outcomes=False)}):
            assert drifted(POLICY, answered(perfect, recall=1.0).answers, {CHAMPION: standing}, 0) is None
        else:
            rooms += 1
    assert 0 < rooms < 11


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.floats(0, 1))
def test_no_room_is_exactly_that_nothing_up_to_one_is_a_margin_better(best: list[float], fresh: float) -> None:
    if no_room(POLICY, dict(zip(drift_figures(by_outcomes=True), best, strict=True))):
        assert all(fresh - figure <= POLICY.fresh_margin for figure in best)
    else:
        assert 1 - min(best) > POLICY.fresh_margin - 1e-6


def test_a_fresh_start_that_beats_all_says_that_the_space_has_drifted() -> None:
    right = champion_of(300)
    worse = losing(right, 0.05, 1.0, 3)
    good, bad = answered(right).answers, answered(worse).answers
    why = drifted(POLICY, good, {CHAMPION: bad, "challenger": answered(losing(right, 0.04, 1.0, 4)).answers}, seed=0)
    assert why is not None
    assert "the space has drifted" in why
    assert drifted(POLICY, good, {CHAMPION: bad, "challenger": good}, seed=0) is None
