"""The gate decides whether the challenger may follow the champion. Pure statistics over answers to the same exams.

The challenger is compared with the champion and with the baseline: the last version trained from scratch and the best
versions since, so that small losses cannot add up. Each figure has its own interval, over all held-out users and over
each slice that is large enough.

    rejected      a loss is certain, whatever its size; or the difference itself is a loss of a margin or more
    inconclusive  a loss of a margin or more cannot be ruled out
    passed        neither: any loss is smaller than the margin

`trainer.gate.comparison` compares the figures. docs/gate.md says how often the gate errs.

Where outcomes judge, this holds for the figures of held-out labels; of the input cosine only a large loss is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import Comparison, GateReport, Slice
from schemas.figures import words
from schemas.policies import GatePolicy
from trainer.exam.answers import Sums
from trainer.exam.evaluate import Score
from trainer.exam.outcome_answers import OutcomeAnswers
from trainer.gate.bootstrap import Difference, Drawn, differences, unseen_share, weights_of
from trainer.gate.comparison import Rival, compare, margin_of

CHAMPION = "champion"
_DRIFT_FIGURES = ("average_precision", "recall_at_10")  # by order alone: a fresh start has no fitted line yet
_RAIL_MARGINS = {"earlier_auc": "EARLIER_MARGIN", "outcome_calibration_error": "CALIBRATION_MARGIN"}
_HEADLINES = ("accuracy", "outcome_auc")  # one of the two is compared
_OUTCOME_DRIFT_FIGURES = ("outcome_auc", "recall_at_50")
_ROUNDING = 1e-9  # of a sum of shares that is one at most


def judge(
    policy: GatePolicy,
    challenger: Sequence[Score],
    rivals: Sequence[Rival],
    slices: Mapping[Slice, NDArray[np.bool_]],
    seed: int,
    asked: Mapping[Slice, NDArray[np.bool_]] | None = None,
) -> GateReport:
    """Passed, rejected or inconclusive, with the reason. The exam is large enough (see `blind`).

    The arguments are those of `trainer.gate.comparison.compare`.
    """
    told = compare(policy, challenger, rivals, slices, seed, asked)
    return _verdict(policy, told, challenger[0], rivals[0].scores[0])


def first(policy: GatePolicy, challenger: Score, why: str, *, by_outcomes: bool = False) -> GateReport:
    """The verdict on a version without a champion to compare with: floors. `why` says that there is no champion.

    By outcomes there is one floor only: the model's line is then not about similarity, and a model that has learned
    what users do may find few of the nearest by cosine.
    """
    metrics = challenger.metrics
    if by_outcomes:
        floors = {words("outcome_auc"): (metrics.outcome_auc or 0.0, policy.min_auc)}
    else:
        floors = {
            "accuracy": (metrics.accuracy, policy.min_accuracy),
            "precision": (metrics.precision or 0.0, policy.min_precision),
            "recall@10": (metrics.recall_at_10, policy.min_recall_at_10),
        }
    low = [
        f"{name} {figure:.4f} is below the floor of {floor}"
        for name, (figure, floor) in floors.items()
        if figure < floor
    ]
    told = ", ".join(f"{name} {figure:.4f}" for name, (figure, _) in floors.items())
    return GateReport(
        outcome="rejected" if low else "passed",
        reason=f"{why}: {'; '.join(low)}"
        if low
        else f"{why}: {told}, {'above its floor' if by_outcomes else 'all above their floors'}",
        users=len(challenger.answers),
        pairs=len(challenger.probability),
        challenger=metrics,
        judged_by="outcomes" if by_outcomes else "similarity",
    )


def blind(policy: GatePolicy, score: Score) -> str | None:
    """Why an exam is too small to decide anything; None where it is large enough."""
    answers = score.answers
    similar, other = answers.similar > 0, answers.pairs > answers.similar
    asked = int(((answers.asked_similar > 0) & (answers.asked_other > 0)).sum())
    counts = {"similar": int(answers.asked_similar.sum()), "dissimilar": int(answers.asked_other.sum())}
    if not len(answers):
        return (
            "nobody is held out who could be asked about; look at RETRAINER_SPLIT__HOLDOUT_SHARE, "
            "and at how many users have a row that is not all zero"
        )
    share = float(answers.similar.sum() / max(answers.pairs.sum(), 1.0))
    facts = (
        f"of {len(answers)} held-out users {int(similar.sum())} have a similar user and {int(other.sum())} one who is "
        f"not, and {share:.2%} of all their pairs are similar"
    )
    lacking = [name for name, count in counts.items() if count < policy.min_pairs]
    if lacking:
        return (
            f"there are {counts['similar']} similar and {counts['dissimilar']} dissimilar pairs to be asked about, "
            f"{policy.min_pairs} of each are needed: {facts}; look at RETRAINER_PAIRS__SIMILARITY_THRESHOLD and at "
            "the scalar columns"
        )
    if asked < policy.min_users:
        return f"only {asked} held-out users have pairs of both kinds, {policy.min_users} are needed to tell: {facts}"
    return None


def drifted(policy: GatePolicy, fresh: Sums, standing: Mapping[str, Sums], seed: int) -> str | None:
    """Why a full retrain would help: a fresh start certainly beats champion and challenger by more than a margin.

    A fresh start keeps the input cosine and has learned nothing of outcomes. So where outcomes judge, it is compared by
    outcomes: by the cosine it would win against every model that has learned them. Where it wins by outcomes, what was
    learned has become harmful.

    Args:
        policy: margin and confidence.
        fresh: answers of a model that starts from scratch on today's users, untrained.
        standing: the answers of champion and challenger to the same exam, by name.
        seed: of the bootstrap.
    """
    weights = weights_of(len(fresh), policy.draws, seed)
    start = Drawn.of(fresh, weights)
    figures = drift_figures(by_outcomes=isinstance(fresh, OutcomeAnswers))
    gains = [differences(start, Drawn.of(one, weights), figures) for one in standing.values()]
    for of_all in zip(*gains, strict=True):
        least = min(of_all, key=lambda one: one.value)
        if least.value > policy.fresh_margin and all(one.seen_lower(policy.confidence) > 0 for one in of_all):
            name = words(least.figure)
            return (
                f"the space has drifted: a fresh start on today's users, untrained, has {name} {least.challenger:.4f}, "
                f"{' and '.join(standing)} at most {least.other:.4f}"
            )
    return None


def drift_figures(*, by_outcomes: bool) -> Sequence[str]:
    """The figures by which a fresh start is compared."""
    return _OUTCOME_DRIFT_FIGURES if by_outcomes else _DRIFT_FIGURES


def no_room(policy: GatePolicy, best: Mapping[str, float]) -> bool:
    """Whether `drifted` says no whatever a fresh start answers.

    Each figure is at most one. Where the best of champion and challenger lacks no more than the margin of that, nothing
    is better by more than the margin.

    Args:
        policy: the margin.
        best: of each figure of `drift_figures` the best of champion and challenger.
    """
    return all(1.0 - figure <= policy.fresh_margin - _ROUNDING for figure in best.values())


def _verdict(
    policy: GatePolicy,
    told: Sequence[tuple[Comparison, Difference]],
    challenger: Score,
    champion: Score,
) -> GateReport:
    """The verdict on all comparisons, the worst first."""
    compared, worst = [one for one, _ in told], told[0][0]
    headline = next(
        one for one in compared if (one.figure in _HEADLINES, one.against, one.slice) == (True, CHAMPION, None)
    )
    users, by_outcomes = headline.users, headline.figure == "outcome_auc"
    unclear = [one for one in compared if one.verdict == "unclear"]
    notes: list[str] = []
    needed = None
    if worst.verdict == "worse" and worst.guard_rail:
        outcome = "rejected"
        margin = _RAIL_MARGINS.get(worst.figure, "GUARD_RAIL_MARGIN")
        whose = "" if worst.figure in _RAIL_MARGINS else " by the input cosine"
        reason = (
            f"{_which(worst)}{whose} has lost more than {worst.margin} beyond doubt: {_told(worst)}; "
            f"RETRAINER_GATE__{margin} is what it may lose"
        )
    elif worst.verdict == "worse":
        outcome, reason = "rejected", f"{_which(worst)} is worse beyond doubt: {_told(worst)}"
    elif worst.verdict == "probably worse":
        outcome = "rejected"
        reason = (
            f"{_which(worst)} is worse by {-worst.difference:.4f}, a margin of {worst.margin} or more: {_told(worst)}"
        )
    elif unclear and not (users < policy.small_users and _nothing_seen(policy, told)):
        needed = _needed(policy, users, told)
        outcome = "inconclusive"
        way = (
            f"about {needed:,} held-out users{' with labels' * by_outcomes} would tell, there are {users:,}"
            if needed
            else "no number would tell"
        )
        lost = f"may have lost {-worst.lower:.4f}, more than the margin of {worst.margin}"
        reason = f"{_which(worst)} {lost}: {_told(worst)}; {way}"
    else:
        outcome = "passed"
        reason = (
            f"did not regress: {words(headline.figure)} {headline.difference:+.4f}, at least {headline.lower:+.4f}; "
            f"none of {len(compared)} comparisons is worse"
        )
        if unclear:
            share = unseen_share(users, policy.confidence)
            notes.append(
                f"{users} held-out users are few: a loss of all that a group has could be hidden, if the group is no "
                f"larger than {share:.1%} of the users"
            )
            reason = f"{reason}; up to {share:.1%} could be hidden at {users} users"
    return GateReport.model_validate(
        {
            "outcome": outcome,
            "reason": reason,
            "users": len(challenger.answers),
            "pairs": len(challenger.probability),
            "challenger": challenger.metrics,
            "champion": champion.metrics,
            "judged_by": "outcomes" if by_outcomes else "similarity",
            "difference": headline.difference,
            "lower_bound": headline.lower,
            "comparisons": compared,
            "notes": notes,
            "needed_users": needed,
        }
    )


def _nothing_seen(policy: GatePolicy, told: Sequence[tuple[Comparison, Difference]]) -> bool:
    """Whether every figure, apart from users too rare to be seen, is within its margin, or not worse at all."""
    return all(
        one.value >= 0 or one.seen_lower(policy.confidence) > -margin_of(policy, one.figure)
        for comparison, one in told
        if comparison.slice is None and not comparison.guard_rail
    )


def _needed(policy: GatePolicy, users: int, told: Sequence[tuple[Comparison, Difference]]) -> int | None:
    """Held-out users that the most demanding unclear comparison needs, where slices keep their shares."""
    counts = []
    for comparison, one in told:
        if comparison.verdict == "unclear":
            count = one.needed_users(margin_of(policy, one.figure), policy.confidence)
            counts.append(None if count is None else -(-count * users // one.users))
    return None if None in counts else max(count for count in counts if count is not None)


def _which(one: Comparison) -> str:
    whose = f" of {one.slice.value} users" if one.slice else ""
    return f"{words(one.figure)}{whose}"


def _told(one: Comparison) -> str:
    other = "the champion" if one.against == CHAMPION else one.against
    return f"{one.challenger:.4f} against {one.other:.4f} of {other}"
