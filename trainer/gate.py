"""The gate: may the challenger follow the champion? Pure statistics over scores made on one exam.

Primary: pair accuracy. The difference (challenger - champion) is judged by a paired bootstrap over held-out users, who
are independent where pairs are not; it passes when the one-sided lower bound is above -margin (non-inferiority).
Guard-rails: recall@10, and accuracy against the last version trained from scratch, so that small losses cannot add up
unseen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import GateReport
from schemas.policies import GatePolicy
from trainer.embeddings import Rows
from trainer.evaluate import Score

_DRAWN_AT_ONCE = 2**17  # users; few enough to stay in the cache


def judge(
    policy: GatePolicy,
    anchors: Rows,
    challenger: Score,
    champion: Score | None,
    anchor: Score | None,
    seed: int,
    alone_because: str = "first version",
) -> GateReport:
    """Passed, rejected or inconclusive, and why.

    Args:
        policy: margins and floors.
        anchors: (pairs,) the held-out user of each scored pair.
        challenger, champion, anchor: scores on the same pairs; without a champion the challenger must reach the
            accuracy floor; no anchor means that drift is not measured.
        seed: of the bootstrap.
        alone_because: why there is no champion, where there is none.
    """
    users = len(np.unique(anchors))
    report = GateReport(
        outcome="inconclusive",
        reason=f"only {users} held-out users have pairs, {policy.min_users} are needed to tell",
        users=users,
        pairs=len(anchors),
        challenger=challenger.metrics,
        champion=champion.metrics if champion else None,
        anchor=anchor.metrics if anchor else None,
    )
    if users < policy.min_users:
        return report
    if champion is None:
        accuracy = challenger.metrics.accuracy
        return report.model_copy(
            update={
                "outcome": "passed" if accuracy >= policy.min_accuracy else "rejected",
                "reason": f"{alone_because}: accuracy {accuracy:.4f} against a floor of {policy.min_accuracy:.4f}",
            }
        )
    difference = challenger.right.astype(np.float64) - champion.right
    bound = lower_bound(anchors, difference, policy, seed)
    lost_recall = champion.metrics.recall_at_10 - challenger.metrics.recall_at_10
    drift = anchor.metrics.accuracy - challenger.metrics.accuracy if anchor else 0.0
    if bound <= -policy.margin:
        outcome, reason = "rejected", f"accuracy may have sunk by {-bound:.4f}, more than the margin of {policy.margin}"
    elif lost_recall > policy.recall_margin:
        outcome, reason = (
            "rejected",
            f"recall@10 sank by {lost_recall:.4f}, more than the margin of {policy.recall_margin}",
        )
    elif drift > policy.drift_margin:
        outcome = "rejected"
        reason = f"accuracy is {drift:.4f} below the last full retrain, more than the margin of {policy.drift_margin}"
    else:
        outcome, reason = "passed", f"accuracy did not regress: lower bound {bound:+.4f} is above -{policy.margin}"
    update = {
        "outcome": outcome,
        "reason": reason,
        "difference": float(difference.mean()),
        "lower_bound": bound,
    }
    return report.model_copy(update=update)


def lower_bound(anchors: Rows, difference: NDArray[np.float64], policy: GatePolicy, seed: int) -> float:
    """One-sided lower bound of the mean of `difference` (pairs,), by a percentile bootstrap that resamples users.

    Pairs of one user stay together (Davison & Hinkley, Bootstrap Methods and their Application, 3.8).
    """
    _, user = np.unique(anchors, return_inverse=True)
    count = np.bincount(user).astype(np.float64)
    total = np.bincount(user, difference)
    generator = np.random.default_rng(seed)
    means = np.empty(policy.draws)
    size = max(1, _DRAWN_AT_ONCE // len(count))
    for start in range(0, policy.draws, size):
        draws = min(size, policy.draws - start)
        chosen = generator.integers(len(count), size=(draws, len(count)))
        means[start : start + draws] = total[chosen].sum(axis=1) / count[chosen].sum(axis=1)
    return float(np.quantile(means, 1 - policy.confidence))
