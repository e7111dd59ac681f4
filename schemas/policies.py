"""The rules by which cycles start, and by which a trainer works.

The trainer's travel with every cycle request, and the manifest records them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.base import Policy, Seconds, listed
from schemas.times.quiet_hours import checked, zone_of
from schemas.units import Unit

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


QuietHours = Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(checked)]
TimeZone = Annotated[str, AfterValidator(lambda name: zone_of(name).key)]


class PairPolicy(Policy):
    """Which users count as similar, and how many pairs are kept.

    Similar: cosine of the normalised rows above `similarity_threshold`. With a cap, pair (i, j) is kept when j is among
    the `max_positives_per_user` nearest of i or i among those of j, ties broken by id; None keeps every pair.
    """

    similarity_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Cosine above which two users count as similar."""
    max_positives_per_user: Positive | None = 50
    """Nearest users of each user whose pairs are kept; none keeps every similar pair."""
    negative_ratio: Positive = 1
    """Dissimilar pairs for each similar pair."""
    block_megabytes: Annotated[Positive, Unit("MB")] = 128
    """Memory for blocks of similarities while mining, of all threads together."""
    threads: Positive | None = None
    """Threads that mine; None takes one for each core that the process may use. The pairs are the same."""


class SplitPolicy(Policy):
    """How users are split, by a stable hash of salt and id. A pair belongs to the holdout when either end does."""

    salt: str = "retrainer-1"
    """Text that is hashed with the user id. Another salt is another split, which only a full retrain can follow."""
    holdout_share: Annotated[Share, Field(gt=0)] = 0.15
    """Share of the users held out for the exam: without them no version could be judged, and none is registered."""
    dev_share: Share = 0.10
    """Share of the users on whom an epoch is chosen; they are not trained on either."""

    @model_validator(mode="after")
    def _someone_is_left_to_train_on(self) -> Self:
        if self.holdout_share + self.dev_share >= 1:
            raise ValueError("holdout_share + dev_share must leave users to train on")
        return self


class Objective(StrEnum):
    """What a model learns: that alike users are similar, what users did with one another, or both."""

    SIMILARITY = "similarity"
    OUTCOMES = "outcomes"
    BOTH = "both"

    @property
    def has_outcomes(self) -> bool:
        """Whether pair labels are learned, and judge the model."""
        return self is not Objective.SIMILARITY


class FitPolicy(Policy):
    """How the model learns. An epoch is one pass over a cycle's training users; loss: `trainer.learning.loss`."""

    objective: Objective = Objective.SIMILARITY
    """What is learned: `similarity` of the features, `outcomes` (pair labels), or `both`."""
    batch_users: Annotated[int, Field(ge=8)] = 512
    """Users in a batch; every pair inside a batch is learned."""
    full_epochs: Positive = 30
    """Most epochs of training from scratch."""
    incremental_epochs: Positive = 5
    """Most epochs of each of the two fits that an incremental cycle tries."""
    patience: Positive = 8
    """Epochs without a better score on the dev users before training stops."""
    dev_users: Annotated[int, Field(ge=8)] = 256
    """Dev users who are scored after an epoch; where there are more, so many are drawn."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """The highest rate of training from scratch; it rises over ten steps and falls to nothing along a cosine."""
    incremental_learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    """The highest rate of a fit that continues from the champion."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a tower's units that are switched off at random in training."""
    hard_negatives: Annotated[int, Field(ge=0, le=2)] = 1
    """Most alike dissimilar users given more weight, for each user in a batch; more than two do harm. Where labels are
    learned: those that say not similar, so many for each positive one at most."""
    distance_weight: Annotated[float, Field(ge=0)] = 6.0
    """Weight of the loss term for distances; the pair loss weighs 1."""
    ranking_weight: Annotated[float, Field(ge=0)] = 0.2
    """Weight of the loss term for the order of the nearest users."""
    ranking_temperature: Annotated[float, Field(gt=0)] = 0.05
    """Temperature of the loss term for the order of the nearest users."""
    replay_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of unchanged users among those an incremental cycle trains on, so that the old is not forgotten."""
    min_replay_users: Positive = 1024
    """Fewest unchanged users that an incremental cycle trains on, where there are so many."""
    batch_labels: Annotated[int, Field(ge=8)] = 1024
    """Positive labels in a batch: the other users are strangers to each (`trainer.learning.label_loss`)."""
    label_epochs: Positive = 20
    """Where labels are learned, `full_epochs` and `incremental_epochs` are no more than this."""
    label_replay: Annotated[float, Field(ge=0)] = 3.0
    """Learned labels among those an epoch goes through, for each new one: other ones in each epoch."""
    min_replay_labels: Positive = 2048
    """Fewest learned labels that an epoch goes through, where there are so many."""
    temperature: Annotated[float, Field(gt=0)] = 0.1
    """Temperature of the softmax over a batch's users, where labels are learned."""
    popularity_correction: Share = 0.75
    """How much of popularity is learned: 1 learns all of it, 0 only what popularity does not explain."""
    cosine_weight: Annotated[float, Field(ge=0)] = 1.0
    """How much an embedding is held to the cosine of the features, beside what labels say."""
    seed: int = 0
    """Seed of weights, batches and drawn negatives."""


class GatePolicy(Policy):
    """When a challenger may follow the champion. Margins are differences of the metric itself, not relative.

    A loss that is certain is refused whatever its size. One that is not must be smaller than the margin, by its lower
    bound. docs/gate.md has the rule, its sources, and what it does on models that are worse, equal and better.
    """

    margin: Annotated[float, Field(ge=0)] = 0.01
    """Largest loss of accuracy that may remain possible."""
    precision_margin: Annotated[float, Field(ge=0)] = 0.02
    """The same for precision."""
    recall_margin: Annotated[float, Field(ge=0)] = 0.02
    """The same for recall, recall@10 and average precision."""
    calibration_margin: Annotated[float, Field(ge=0)] = 0.05
    """The same for the calibration error."""
    negligible: Annotated[float, Field(ge=0)] = 0.0
    """The largest loss that is forgiven although it is certain; by promise none is."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.99
    """Confidence of a lower bound."""
    false_alarms: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """How often an equal challenger may be refused for a certain loss, over all comparisons together."""
    draws: Annotated[int, Field(ge=100)] = 2000
    """Bootstrap samples of users by which bounds are estimated."""
    min_users: Positive = 30
    """Held-out users with pairs; with fewer the gate cannot tell."""
    min_pairs: Positive = 30
    """Sampled pairs of either kind; with fewer the gate cannot tell."""
    small_users: Annotated[int, Field(ge=0)] = 500
    """With fewer held-out users than so many, a challenger that no figure shows to be worse passes with a note of the
    loss that could be hidden; 0 has the margins decide always."""
    slice_users: Positive = 100
    """Held-out users of a slice from which on it is a guard-rail of its own."""
    max_users: Positive = 2000
    """Held-out users scored; more are sampled, by hash, to this many."""
    min_accuracy: Share = 0.6
    """Floor of accuracy for a first version, which has no champion to be compared with; always-no has 0.5."""
    min_precision: Share = 0.3
    """Floor of precision for a first version."""
    min_recall_at_10: Share = 0.1
    """Floor of recall@10 for a first version."""
    auc_margin: Annotated[float, Field(ge=0)] = 0.01
    """The same for the AUC of held-out labels, where outcomes are learned; their recall@50 has the recall margin."""
    guard_rail_margin: Annotated[float, Field(ge=0)] = 0.2
    """Largest loss of recall@10 of the input cosine that is allowed where outcomes judge."""
    earlier_margin: Annotated[float, Field(ge=0)] = 0.005
    """Largest loss of the AUC of held-out labels that were known before the cycle. Spam is held out as all labels are,
    and a model that has learned spam is the best at it; this margin refuses such a model."""
    min_labels: Positive = 30
    """Held-out positive labels; with fewer the gate cannot tell by outcomes. They must be of `min_users` users."""
    min_auc: Share = 0.52
    """Floor of the AUC for a first version by outcomes; a guess has 0.5."""
    fresh_margin: Annotated[float, Field(gt=0)] = 0.02
    """By how much a fresh start must beat champion and challenger for a full retrain to be asked for."""
    register_unchanged: bool = False
    """Register a version also where nothing was learned."""
    compatible_recall: Annotated[Share, Field(gt=0)] = 0.9
    """Share of the champion's recall that a version's queries must keep among the champion's vectors, for the version
    to be called compatible with the champion's index. It refuses no version."""

    @model_validator(mode="after")
    def _enough_users_may_be_scored(self) -> Self:
        if self.min_users > self.max_users:
            raise ValueError(
                f"min_users is {self.min_users}, but no more than max_users, {self.max_users}, are scored, so the gate "
                "could never tell; raise max_users, or lower min_users"
            )
        return self


class GuardPolicy(Policy):
    """Limits: a figure above one of them holds the cycle. 1 switches a share off.

    Before: when a cycle was last settled. What is a figure of users read or sampled holds only where the share is
    certainly above the limit, its one-sided Wilson bound at 99 % being so. docs/guard.md tells each figure.
    """

    refused_share: Share = 0.1
    """Of the users read, those whose rows were unsound."""
    deleted_share: Share = 0.3
    """Of the users known before, those that the cycle found deleted."""
    lost_share: Share = 0.3
    """Of the users known before, those that are there no more after the cycle, deleted, refused or absent."""
    lost_pairs: Share = 0.5
    """Of the similar pairs before, those that are gone without making place for others: 1 - after / before."""
    similar_share: Share = 0.5
    """Of all pairs, those that are similar; nobody similar to anybody is held as well."""
    mean_z: Annotated[float, Field(gt=0)] = 3.0
    """How far, in standard deviations of the frozen scaling, the mean of a scalar column over all users has moved."""
    drifting_z: Annotated[float, Field(gt=0)] = 0.5
    """The same, from where on a full retrain is asked for, before the column swallows the row."""
    drifting_labels: Share = 0.02
    """1 - Jaccard index of the similar pairs by the frozen and by today's scaling, from where on a full retrain is
    asked for. Labels that move fall about half on either side, so precision and recall by today's lose 0.01 each."""
    outlier_share: Share = 0.05
    """Of the users read, those with a scalar so far out that it is clipped."""
    outside_energy: Share = 0.5
    """Of the squared length of all users, what lies outside the axes of those whom the model started from, beyond what
    did before."""
    moved_share: Share = 0.2
    """Of a sample of users whom nobody claimed, those whose row in the store is another than the one known."""
    labels_moved: Share = 0.95
    """1 - Jaccard index of the similar pairs by the new and the champion's scaling, where a cycle has a new scaling. A
    column that has drifted by a standard deviation moves half of the pairs, and a full retrain is right to."""
    refused_labels: Share = 0.1
    """Of the pair labels read, those whose rows were unsound."""
    lost_labels: Share = 0.3
    """Of the pair labels known before, those that are there no more after the cycle, deleted, refused or absent."""
    sample: Annotated[int, Field(ge=0)] = 256
    """Unclaimed users who are read again to see whether somebody moved them; 0 reads none."""
    min_users: Annotated[int, Field(ge=1)] = 30
    """Shares of fewer users than so many hold nothing."""


class TriggerPolicy(Policy):
    """Rules for starting a cycle, and limits within which none starts by itself."""

    changed_users: Annotated[int, Field(ge=1)] = 500
    """Start when so many users are pending."""
    changed_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Start when the pending users are such a share of all users."""
    changed_labels: Annotated[int, Field(ge=1)] = 500
    """Start when so many labels are pending."""
    changed_label_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Start when the pending labels are such a share of all labels between known users."""
    max_staleness: Seconds = 3600.0
    """Start when the oldest pending change arrived so long ago."""
    quiet_period: Seconds = 30.0
    """No cycle starts until so much time has passed without a new change."""
    max_quiet: Seconds = 120.0
    """The longest that changes which go on arriving hold back a cycle for which enough has changed."""
    min_interval: Seconds = 300.0
    """Shortest time from the end of one cycle to the start of the next."""
    max_backoff: Seconds = 3600.0
    """The longest wait after a cycle that settled nothing. It begins at the minimum interval and doubles each time."""
    max_rejections: Annotated[int, Field(ge=1)] = 3
    """So many rejections in a row make the next cycle train from scratch."""
    max_full_per_day: Annotated[int, Field(ge=1)] = 6
    """Cycles from scratch in 24 hours that neither an operator nor the schedule asked for. One that failed or was held
    does not count: it has judged no model, and the wait after it keeps it rare."""
    full_on_drift: bool = True
    """Train from scratch when a cycle asks for it; if not, `status` says that one does."""
    drift_interval: Seconds = 86400.0
    """Shortest time between the end of a full retrain and one that a cycle asks for."""
    regret: Annotated[float, Field(ge=0, le=1)] | None = None
    """Start, before any threshold is reached, when the champion has lost more than this on what is pending, against its
    own exam: of the figures of the objective the one that sank most, less its standard error. None asks no champion."""
    probe_changes: Annotated[int, Field(ge=1)] = 50
    """Users and labels that have to be pending, or more than at the last probe, before the champion is asked."""
    probe_interval: Seconds = 60.0
    """Shortest time between two probes."""
    training_minutes_a_day: Annotated[float, Field(gt=0, le=1440), Unit("minutes")] | None = None
    """The training budget: once cycles have run for so many minutes in the last 24 hours, none starts by itself. None
    sets no limit."""
    quiet_hours: QuietHours = Field(default=(), examples=[("22:00-06:00", "12:00-13:00")])
    """Times of the day in which no cycle starts by itself; one that runs when they begin goes on."""
    quiet_hours_zone: TimeZone = Field(default="UTC", examples=["Europe/Stockholm"])
    """The time zone of the quiet hours, by its name."""
    settle_unchanged: bool = False
    """Settle as unchanged, without training, what a threshold starts a cycle for, where no more than `regret` is lost.
    """

    @model_validator(mode="after")
    def _settles_by_a_limit(self) -> Self:
        if self.settle_unchanged and self.regret is None:
            raise ValueError("settle_unchanged needs regret, the loss up to which nothing is trained; 0 for none")
        return self
