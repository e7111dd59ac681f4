"""The guard decides whether the data are believable. Pure policy over figures of `trainer.guard.measures`.

Figures about the users read, and about the users left, are judged before the embedding space is changed; figures that
need the new pairs are judged after. A share of all users (deleted, lost) is compared as it is. Users read or sampled
stand for more users, so their share holds a cycle only where it is certainly above the limit: where Wilson's one-sided
lower bound is above it (1927, Probable Inference, the Law of Succession, and Statistical Inference).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from schemas.cycle import CycleKind
from schemas.guard import Finding, GuardName, GuardReport
from schemas.policies import GuardPolicy

_QUANTILE = 2.326  # of the normal distribution, at 99 %

_WORDS = {
    GuardName.REFUSED_SHARE: "of {of:,} users read {figure} were refused",
    GuardName.DELETED_SHARE: "of {of:,} users known before {figure} were deleted",
    GuardName.LOST_SHARE: "of {of:,} users known before {figure} are there no more, deleted, refused or absent",
    GuardName.LOST_PAIRS: "of {of:,} similar pairs before {figure} are gone",
    GuardName.SIMILAR_SHARE: "of all pairs of {of:,} users {figure} are similar",
    GuardName.MEAN_Z: "over {of:,} users the mean of a scalar column has moved by {figure} standard deviations",
    GuardName.OUTLIER_SHARE: "of {of:,} users read {figure} lie so far out in a scalar column that it is clipped",
    GuardName.OUTSIDE_ENERGY: "of the directions of {of:,} users {figure} came to lie outside the axes of the model",
    GuardName.MOVED_SHARE: "of {of:,} users sampled whom no event named {figure} have another row in the store",
    GuardName.LABELS_MOVED: "of the pairs that are similar by the old or the new scaling {figure} are so by one alone",
    GuardName.REFUSED_LABELS: "of {of:,} pair labels read {figure} were refused",
    GuardName.LOST_LABELS: "of {of:,} pair labels known before {figure} are there no more, deleted, refused or absent",
}
_WAYS = {
    GuardName.REFUSED_SHARE: "look at the refused rows and at what writes them; mended ones are read again",
    GuardName.DELETED_SHARE: "look whether the deletions were meant",
    GuardName.LOST_SHARE: "look whether the users are still in the feature group",
    GuardName.LOST_PAIRS: "look whether the changed columns still mean what they did",
    GuardName.SIMILAR_SHARE: "look at the rows, and at RETRAINER_PAIRS__SIMILARITY_THRESHOLD",
    GuardName.MEAN_Z: "look whether the column has changed its unit or meaning",
    GuardName.OUTLIER_SHARE: "look whether the column has changed its unit or meaning",
    GuardName.OUTSIDE_ENERGY: "look whether another model embeds the users now",
    GuardName.MOVED_SHARE: "look whether somebody re-embeds everybody, and wait until that is done",
    GuardName.LABELS_MOVED: "look at the scalar columns and their scaling in both manifests",
    GuardName.REFUSED_LABELS: "look at the refused labels and at RETRAINER_LABELS__WORDS; mended ones are read again",
    GuardName.LOST_LABELS: "look whether the labels are still in the label group",
}
_BETTER_ANEW = {GuardName.MEAN_Z, GuardName.OUTLIER_SHARE, GuardName.OUTSIDE_ENERGY, GuardName.MOVED_SHARE}
"""For these limits the way out is a full retrain: if the data are right, the frozen scaling and axes are wrong."""
_OF_USERS = {GuardName.DELETED_SHARE, GuardName.LOST_SHARE}


@dataclass(frozen=True, slots=True)
class Guard:
    """The limits, and those that an operator has waived for this cycle. Each method judges one figure."""

    policy: GuardPolicy
    accept: Collection[GuardName] = ()

    def refused(self, accepted: int, refused: Mapping[str, str], keyless: int = 0) -> Finding:
        """Share of refused rows among the rows read: the reason by user, and the number of rows without a user."""
        return self._refusals(GuardName.REFUSED_SHARE, accepted, refused, keyless)

    def deleted(self, count: int, known: int) -> Finding:
        """Share of deleted users among those known before."""
        return self._share(GuardName.DELETED_SHARE, count, known)

    def lost(self, count: int, known: int) -> Finding:
        """Share of users who are gone, for whatever reason, among those known before."""
        return self._share(GuardName.LOST_SHARE, count, known)

    def moved(self, differing: int, gone: int, refused: int, sampled: int) -> Finding:
        """Share of sampled unclaimed users whose row has changed, is gone, or is unsound."""
        detail = f"{differing:,} differ, {gone:,} are gone, {refused:,} are unsound"
        return self._share(GuardName.MOVED_SHARE, differing + gone + refused, sampled, detail, sampled=True)

    def outliers(self, shares: Mapping[str, float], read: int) -> Finding:
        """Share of clipped users among those read, by scalar column; the worst column is judged."""
        worst = max(shares, key=lambda name: shares[name])
        count = round(shares[worst] * read)
        return self._share(GuardName.OUTLIER_SHARE, count, read, f"column {worst}", sampled=True)

    def lost_pairs(self, before: int, after: int, earlier: Collection[Finding] = ()) -> Finding:
        """Similar pairs before and now. Accepting a loss of users (`earlier`) accepts the loss of their pairs."""
        finding = self._share(GuardName.LOST_PAIRS, max(0, before - after), before, f"{before:,} before, {after:,} now")
        return _implied(finding, earlier, _OF_USERS)

    def similar(self, share: float, users: int, pairs: int, *, learned: bool = True) -> Finding:
        """Share of similar pairs among all pairs of `users` users, and the number of similar `pairs`.

        No similar pairs are too few where similarity is `learned`; from labels alone a model learns without.
        """
        exceeded = share > self.policy.similar_share or (learned and not pairs)
        return self._finding(GuardName.SIMILAR_SHARE, share if pairs else 0.0, users, exceeded)

    def mean_z(self, means: Mapping[str, float], users: int, earlier: Collection[Finding] = ()) -> Finding:
        """Mean z of all users by scalar column; the worst is judged. Accepting outliers accepts this."""
        worst = max(means, key=lambda name: abs(means[name]))
        figure = abs(means[worst])
        finding = self._finding(GuardName.MEAN_Z, figure, users, figure > self.policy.mean_z, f"column {worst}")
        return _implied(finding, earlier, {GuardName.OUTLIER_SHARE})

    def outside(self, share: float, share_before: float, users: int) -> Finding:
        """Share of the squared length outside the axes now, and before."""
        figure = max(0.0, share - share_before)
        detail = f"{_percent(share)} now, {_percent(share_before)} before"
        return self._finding(GuardName.OUTSIDE_ENERGY, figure, users, figure > self.policy.outside_energy, detail)

    def labels_moved(self, kept: float, pairs: int, earlier: Collection[Finding] = ()) -> Finding:
        """Jaccard index of the similar pairs by two scalings, and the number of similar `pairs` by the new one.

        Accepting a moved column accepts this.
        """
        moved = 1 - kept
        finding = self._finding(GuardName.LABELS_MOVED, moved, pairs, moved > self.policy.labels_moved)
        return _implied(finding, earlier, {GuardName.OUTLIER_SHARE, GuardName.MEAN_Z})

    def refused_labels(self, accepted: int, refused: Mapping[Any, str], keyless: int = 0) -> Finding:
        """Share of refused labels among those read: the reason by pair, and the number without a pair."""
        return self._refusals(GuardName.REFUSED_LABELS, accepted, refused, keyless)

    def lost_labels(self, count: int, known: int) -> Finding:
        """Share of labels that are gone among those known before."""
        return self._share(GuardName.LOST_LABELS, count, known)

    def drifting(self, means: Mapping[str, float], kept: float = 1.0) -> str | None:
        """Why scalar columns ask for a full retrain; None where they do not.

        Args:
            means: mean z of each by the frozen scaling.
            kept: Jaccard index of the similar pairs by that and by today's scaling.
        """
        moved = {name: z for name, z in means.items() if abs(z) > self.policy.drifting_z}
        if not moved and 1 - kept > self.policy.drifting_labels:
            return (
                f"by today's scaling {_percent(1 - kept)} of the similar pairs are others, more than "
                f"{_percent(self.policy.drifting_labels)} ({_setting('drifting_labels')})"
            )
        if not moved:
            return None
        columns = ", ".join(f"{name} has moved by {z:+.2f} standard deviations" for name, z in sorted(moved.items()))
        return (
            f"{columns} since the scaling was frozen, more than {self.policy.drifting_z:g} ({_setting('drifting_z')})"
        )

    def _refusals(self, name: GuardName, accepted: int, refused: Mapping[Any, str], keyless: int) -> Finding:
        reasons = Counter(refused.values()) + Counter({"the row has no key": keyless})  # a sum drops what is 0
        often, count = reasons.most_common(1), len(refused) + keyless
        detail = f"most often ({often[0][1]:,} times): {often[0][0]}" if often else None
        return self._share(name, count, accepted + count, detail, sampled=True)

    def _share(
        self, name: GuardName, count: int, of: int, detail: str | None = None, *, sampled: bool = False
    ) -> Finding:
        told = wilson_bound(count, of) if sampled else count / max(of, 1)
        return self._finding(name, count / max(of, 1), of, told > getattr(self.policy, name), detail)

    def _finding(self, name: GuardName, figure: float, of: int, exceeded: bool, detail: str | None = None) -> Finding:
        exceeded = exceeded and of >= self.policy.min_users
        return Finding(
            name=name,
            figure=figure,
            limit=getattr(self.policy, name),
            of=of,
            detail=detail,
            exceeded=exceeded,
            accepted=exceeded and name in self.accept,
        )


def wilson_bound(count: int, of: int) -> float:
    """One-sided lower bound at 99 % of a share, from `count` of `of` (Wilson's score interval)."""
    if not count:
        return 0.0
    share, z = count / of, _QUANTILE
    middle = share + z * z / (2 * of)
    spread = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z * z / of))


def _implied(finding: Finding, earlier: Collection[Finding], names: Collection[GuardName]) -> Finding:
    """A finding that counts as accepted where one of `names` was accepted."""
    accepted = any(one.name in names and one.exceeded and one.accepted for one in earlier)
    return finding.model_copy(update={"accepted": finding.accepted or (finding.exceeded and accepted)})


def words(finding: Finding) -> str:
    """A finding beyond its limit, in words: figure, limit, the setting of the limit, and details."""
    plain = finding.name is GuardName.MEAN_Z
    figure, limit = (f"{value:.3g}" if plain else _percent(value) for value in (finding.figure, finding.limit))
    detail = f"; {finding.detail}" if finding.detail else ""
    if finding.name is GuardName.SIMILAR_SHARE and not finding.figure:
        return f"of all pairs of {finding.of:,} users none is similar"
    said = _WORDS[finding.name].format(of=finding.of, figure=figure)
    return f"{said}, more than the limit of {limit} ({_setting(finding.name)}){detail}"


def reason(report: GuardReport) -> str:
    """Why a cycle is held."""
    return "; ".join(words(one) for one in report.holding)


def way_out(report: GuardReport, kind: CycleKind) -> str:
    """What a person can do about a cycle of `kind` that is held."""
    names = [one.name for one in report.holding]
    looks = "; ".join(dict.fromkeys(_WAYS[name] for name in names))
    full = " --full" if kind.from_scratch or report.asks_full or _BETTER_ANEW.intersection(names) else ""
    accept = " ".join(f"--accept {name.name}" for name in names)
    return f"{looks}; if the data are right: `retrainer train{full} {accept}`"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _setting(name: str) -> str:
    return f"RETRAINER_GUARD__{name.upper()}"
