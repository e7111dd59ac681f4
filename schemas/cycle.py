"""The border between consumer and trainer: a request goes in, progress comes out, a result ends it.

A trainer needs nothing but a `CycleRequest`, so it can be started by the supervisor, by hand, or on another machine.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from schemas.base import Frozen
from schemas.compatibility import CompatibilityReport
from schemas.engine import Device, MiningEngine, RayCluster
from schemas.features import FeatureGroup
from schemas.guard import GuardName, GuardReport
from schemas.hopsworks import Hopsworks, HopsworksDeployment, HopsworksRegistry, HopsworksStore
from schemas.labels import LabelGroup, PairKey
from schemas.policies import FitPolicy, GatePolicy, GuardPolicy, Objective, PairPolicy, Positive, SplitPolicy
from schemas.recorded import Recorded
from schemas.renamed import formerly
from schemas.reports import ReportPolicy, VersionFigures
from schemas.spans import Offset, OffsetSpans
from schemas.stores.calls import CallReport

OffsetRanges = dict[str, dict[int, tuple[Offset, Offset]]]
"""{topic: {partition: [from, to)}}: `from` is the first offset covered, `to` the first that is not."""


class CycleKind(StrEnum):
    """What a cycle does. Bootstrap and full take a snapshot and train from scratch; the others follow the champion."""

    BOOTSTRAP = "bootstrap"
    INCREMENTAL = "incremental"
    FULL = "full"
    BACKFILL = "backfill"

    @property
    def from_scratch(self) -> bool:
        """Whether the cycle reads every user and starts a new embedding space."""
        return self in {CycleKind.BOOTSTRAP, CycleKind.FULL}


class Outcome(StrEnum):
    """How a cycle ended. Only `registered` has a version; `registered` and `unchanged` settle the users."""

    REGISTERED = "registered"
    UNCHANGED = "unchanged"
    """Training made the model no better, so the champion stays, and answers for the users on record."""
    REJECTED = "rejected"
    """The challenger is worse, or probably worse by more than a margin."""
    INCONCLUSIVE = "inconclusive"
    """The exam does not show whether the challenger is worse."""
    HELD = "held"
    """The data, or what the challenger is measured against, are not to be believed: a person has to look."""
    FAILED = "failed"
    PROBED = "probed"
    """The champion was scored on what is pending, and nothing else was done: never the end of a cycle."""


class Step(StrEnum):
    """The nine steps of a cycle, in order, each safe to repeat."""

    READ = "read"
    EMBED = "embed"
    PAIR = "pair"
    BASE = "base"
    PROBE = "probe"
    FIT = "fit"
    GATE = "gate"
    PACKAGE = "package"
    REGISTER = "register"


class LocalStore(Frozen):
    """The local feature store: one SQLite file."""

    kind: Literal["local"] = "local"
    """A SQLite file; the default where no cluster is named."""
    path: Path
    """The file; if not set, `feature_store.db` in the state folder."""


class LocalRegistry(Frozen):
    """The local model registry: one folder."""

    kind: Literal["local"] = "local"
    """A folder; the default where no cluster is named."""
    path: Path
    """The folder; if not set, `registry` in the state folder."""
    keep: Positive | None = 50
    """How many of the newest versions stay. The champion, the baseline, what is pinned, and what else somebody needs
    stay too; the others are deleted. None keeps every version."""


class TrainerSettings(Frozen):
    """Where a trainer reads, learns and registers, and by which rules."""

    feature_group: FeatureGroup
    labels: LabelGroup | None = None
    """The label group, in the same store; None where there is none."""
    hopsworks: Hopsworks | None = None
    """The cluster, where store or registry are there."""
    feature_store: Annotated[LocalStore | HopsworksStore, Field(discriminator="kind")]
    model_registry: Annotated[LocalRegistry | HopsworksRegistry, Field(discriminator="kind")]
    deployment: HopsworksDeployment | None = None
    """The deployment that serves the champion; None for none."""
    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")] = "two_tower_recommender"
    work_dir: Path
    """Embedding spaces and staged models; one trainer at a time holds its lock."""
    pairs: PairPolicy = PairPolicy()
    engine: MiningEngine = MiningEngine.LOCAL
    ray: RayCluster = RayCluster()
    device: Device = Device.AUTO
    split: SplitPolicy = SplitPolicy()
    fit: FitPolicy = FitPolicy()
    gate: GatePolicy = GatePolicy()
    guard: GuardPolicy = GuardPolicy()
    reports: ReportPolicy = ReportPolicy()
    reports_dir: Path | None = None
    """Where reports of cycles are kept; None where none are."""

    @model_validator(mode="after")
    def _a_cluster_is_named(self) -> Self:
        if self.hopsworks is None and "hopsworks" in {self.feature_store.kind, self.model_registry.kind}:
            raise ValueError("feature store or model registry are of kind hopsworks, but no cluster is named")
        if self.fit.objective.has_outcomes and self.labels is None:
            raise ValueError(f"the objective {self.fit.objective} needs a label group")
        return self


class Lineage(Frozen):
    """What a version has learned, exactly: the events it covers and the users they named."""

    offsets: OffsetRanges
    replayed: OffsetSpans = {}
    """Events read a second time by a replay, exactly those; they never move `offsets`. Earlier releases wrote one range
    around all of a partition, which is read as a list of one."""
    gaps: OffsetSpans = {}
    """What of `offsets` could not be read, as the topic had lost it, or its records could not be parsed."""
    changed_users: Annotated[int, Field(ge=0)]
    unchanged_users: Annotated[int, Field(ge=0)] = 0
    """Changes that cycles since the last version found nothing to learn in; `offsets` covers their events too."""
    changed_labels: Annotated[int, Field(ge=0)] = 0
    unchanged_labels: Annotated[int, Field(ge=0)] = 0
    first_event_at: AwareDatetime | None = None
    last_event_at: AwareDatetime | None = None


class CycleRequest(Frozen):
    """One cycle: whom to learn, on top of what, and why. Names of earlier releases are read, too."""

    cycle_id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    kind: CycleKind
    reason: str
    base_version: int | None
    """The champion to start from and to compare with; None before the first version."""
    baseline_version: Annotated[int | None, formerly("baseline_version", "anchor_version")] = None
    """The last version trained from scratch, against which drift is measured."""
    best_since: tuple[int, ...] = ()
    """Versions since then that had the best figures when they were registered; the gate scores them again today."""
    accept: tuple[GuardName, ...] = ()
    """Limits of the guard that an operator has waived for this cycle."""
    users: tuple[str, ...]
    """The claimed users, each to be re-read from the feature store."""
    recently_learned_users: Annotated[tuple[str, ...], formerly("recently_learned_users", "lately")] = ()
    """Users whom earlier cycles have learned not long ago; where all are read, a bulk copy may lag behind them."""
    labels: tuple[PairKey, ...] = ()
    """The claimed labels, each to be re-read from the label group."""
    recently_learned_labels: Annotated[tuple[PairKey, ...], formerly("recently_learned_labels", "recent_labels")] = ()
    """Labels that earlier cycles have learned not long ago, as `recently_learned_users` has users."""
    last_promoted_cycle: Annotated[str | None, formerly("last_promoted_cycle", "follows")] = None
    """The newest earlier cycle whose claim is settled: the champion answers for that cycle, by a new version or
    unchanged. A copy of the embedding space to which the cycle was not applied has missed something."""
    fence: Annotated[int, Field(ge=0)] = 0
    """The token of whoever runs cycles now; what bears an earlier one than the registry has seen is refused."""
    min_version_exclusive: Annotated[int, Field(ge=0), formerly("min_version_exclusive", "above")] = 0
    """The new version gets a higher number than this, the highest that there ever was: where that version was deleted,
    the registry might give its number once more."""
    lookup_only: Annotated[bool, formerly("lookup_only", "only_find")] = False
    """Train nothing, and only say whether the cycle has registered a version."""
    only_probe: bool = False
    """Train nothing and change nothing: only score the champion on the users and labels."""
    settle_below: float | None = None
    """Where the champion has lost no more than this on them, they are settled as unchanged, without a fit."""
    earlier_versions: tuple[VersionFigures, ...] = ()
    """The last fifty registered versions, the oldest first; for the report of the cycle alone."""
    lineage: Lineage
    settings: TrainerSettings

    @model_validator(mode="after")
    def _a_follower_has_a_base(self) -> Self:
        if self.base_version is None and not self.kind.from_scratch:
            raise ValueError(f"a cycle of kind {self.kind} needs a base_version")
        return self


class Progress(Frozen):
    """One line of a trainer's report while it works. `done` of `total` units, where a step can be counted.

    `asking` waits for the consumer's word that the cycle is still its own.
    """

    cycle_id: str
    step: Step
    state: Literal["started", "running", "asking", "done"]
    done: int | None = None
    total: int | None = None
    facts: dict[str, float | int | str] = {}


class Metrics(Frozen):
    """Figures on held-out users: of their pairs with anybody, and of their nearest users in the whole corpus."""

    accuracy: float
    """Share of sampled pairs on the right side of a probability of one half, similar and dissimilar ones weighing the
    same: "always no" is 0.5. Half of the dissimilar ones are those nearest to the line, the rest are random."""
    auc: float | None
    """Area under the ROC curve of the sampled pairs; None where all have one label."""
    precision: float | None = None
    """Of all pairs (held-out user, anybody) that the model calls similar, the share that is; None where it calls none
    so, and in older manifests, as for the three that follow."""
    recall: float | None = None
    """Of all similar pairs (held-out user, anybody), the share that the model calls similar."""
    f1: float | None = None
    """Harmonic mean of the two."""
    average_precision: float | None = None
    """Area under the precision-recall curve of all pairs, ranked in 512 bins; None where all have one label. In
    manifests of the first release it was that of the sampled pairs."""
    recall_at_10: float
    """Share of a user's ten nearest by direction that are among its ten nearest by the model, never sampled. Whoever is
    as near as the tenth counts as one of them."""
    calibration_error: float
    """Expected calibration error over ten equal bins, of all pairs that are given a probability of a tenth or more."""
    outcome_auc: float | None = None
    """Area under the ROC curve of held-out labels: positive ones against strangers who are as popular, and explicit
    negative ones. None without labels, as for the two that follow."""
    earlier_auc: float | None = None
    """The AUC of those labels that were known before the cycle."""
    recall_at_50: float | None = None
    """Share of the held-out positive labels whose other user is among the 50 nearest in the whole corpus."""
    outcome_calibration_error: float | None = None
    """Expected calibration error over ten equal bins of what the AUC is made of."""


class Slice(StrEnum):
    """A user as the champion sees it. Every user is in exactly one slice; see `trainer.gate.slices`."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class SliceReport(Frozen):
    """The figures of exactly the held-out users of one slice. No figures where it has no pairs."""

    users: int
    """Held-out users in the slice."""
    pairs: int
    """Their pairs with anybody."""
    challenger: Metrics | None = None
    champion: Metrics | None = None


class Comparison(Frozen):
    """One figure of the challenger beside that of a version it must not be worse than."""

    figure: str
    """A field of `Metrics`; where less is better, differences are turned so that a loss is negative."""
    against: str
    """`champion`, or `version N` for the last version trained from scratch and the best ones since."""
    slice: Slice | None = None
    """Of whom; None for all held-out users."""
    users: int
    challenger: float
    other: float
    difference: float
    lower: float
    """One-sided lower bound of the difference, what cannot be seen in so few users taken off."""
    certain: float
    """Upper bound of the difference, held together with all other comparisons: below zero is a certain loss."""
    margin: float | None
    """The lower bound must be above -margin; None where the users are too few to ask that."""
    guard_rail: bool = False
    """Whether only a certain loss of more than the margin counts: where outcomes judge, of the input cosine, and of the
    labels that were known before the cycle."""
    verdict: Literal["fine", "worse", "probably worse", "unclear"]


class GateReport(Frozen):
    """What the gate saw: all models on the same held-out users, at the same moment, on today's features."""

    outcome: Literal["passed", "rejected", "inconclusive", "unchanged"]
    reason: str
    users: int
    pairs: int
    challenger: Metrics | None = None
    champion: Metrics | None = None
    baseline: Annotated[Metrics | None, formerly("baseline", "anchor")] = None
    """Of the first release's manifests, which called it `anchor`; what is compared with today is in `comparisons`."""
    judged_by: Literal["similarity", "outcomes"] = "similarity"
    """Which figures decided: those of the input cosine, or those of held-out labels."""
    labels: int = 0
    """Held-out positive labels that were asked about."""
    difference: float | None = None
    """Accuracy of the challenger less that of the champion; of the AUC of outcomes, where they decided."""
    lower_bound: float | None = None
    """Of the difference, one-sided, by paired bootstrap over users."""
    comparisons: tuple[Comparison, ...] = ()
    """All that was compared, the worst first; empty in older manifests."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the verdict: which loss could be hidden, which version could not be scored."""
    needed_users: int | None = None
    """Held-out users that a decision would probably need, where the outcome is inconclusive."""
    labels_kept: float | None = None
    """Where challenger and champion scale users otherwise: Jaccard index of the similar pairs by both scalings."""
    fresh: Metrics | None = None
    """A model that starts from scratch on today's users, untrained: where it wins, the space has drifted."""
    asks_full: str | None = None
    """Why a full retrain is asked for, where the fresh start wins."""
    slices: dict[Slice, SliceReport] = {}
    """All three, of the users examined; empty in older manifests."""


class RefusedKind(StrEnum):
    """Why a row is unfit for use, in a word."""

    MISSING = "missing"
    """A column is null."""
    LENGTH = "length"
    """A column has more or fewer numbers than the contract says."""
    NOT_FINITE = "not_finite"
    """A number is not finite, or too large to be scaled."""
    KEYLESS = "keyless"
    """The key names nobody."""
    SELF = "self"
    """A user labels himself."""
    LABEL = "label"
    """The label is no label."""
    WEIGHT = "weight"
    """The weight is no finite number above 0."""


class ReadReport(Frozen):
    """What became of the users that a cycle asked for."""

    accepted: int
    deleted: int
    refused: dict[str, str] = {}
    """Reason by user, of at most a hundred."""
    refused_total: int = 0
    keyless: int = 0
    """Rows that were refused without a user to name: their key is null, or is neither a text nor a whole number."""
    refused_kinds: dict[RefusedKind, int] = {}
    """How many rows were refused for what, those without a user included; empty in older results."""
    whole: bool = False
    """Whether all users were read, and not only the claimed ones; false in older results."""


class LabelReport(Frozen):
    """What became of the labels that a cycle asked for, and what is known of labels after it."""

    accepted: int
    deleted: int
    refused: dict[str, str] = {}
    """Reason by pair, of at most a hundred."""
    refused_total: int = 0
    refused_kinds: dict[RefusedKind, int] = {}
    """How many labels were refused for what, those without a user at an end included; empty in older results."""
    known: int = 0
    """All labels that there are, also of users who are not known yet."""
    positives: int = 0
    """Labels between known users that say similar; `negatives` those that say the opposite."""
    negatives: int = 0
    held_out: int = 0
    """Labels of which an end is held out, never trained on."""
    waiting: int = 0
    """Labels of users who are not known yet."""
    overruled: int = 0
    """Labels that a later one about the same two users contradicts."""
    set_aside: int = 0
    """Labels that waited and were too many."""
    whole: bool = False
    """Whether all of the group's labels were read; false in older results."""


class ProbeReport(Frozen):
    """The champion's score on changes before anything is learned from them: test, then train.

    `own` figures are those of its own exam, when it was registered; unknown figures are None.
    """

    version: int
    users: int
    """Changed users who were asked about, by the similarity that their features now have."""
    labels: int
    """Changed positive labels that were asked about."""
    accuracy: float | None = None
    own_accuracy: float | None = None
    recall_at_10: float | None = None
    own_recall_at_10: float | None = None
    auc: float | None = None
    own_auc: float | None = None
    recall_at_50: float | None = None
    own_recall_at_50: float | None = None
    regret: float | None = None
    """The largest loss of a deciding figure against the own exam; None where it is not known."""
    error: float | None = None
    """Standard error of the loss, by bootstrap over the asked users: few changes give a large error."""
    summary: Annotated[str, formerly("summary", "told")] = ""
    """The same in one sentence."""


class PairReport(Frozen):
    """Similar pairs before and after, and the work it took."""

    users: int
    before: int
    after: int
    added: int
    removed: int
    rows_mined: int
    rows_refilled: int = 0
    """Unchanged users whose full list lost a member and had to be mined again."""


class FitReport(Frozen):
    """How the fit went. `labelled_pairs` counts every pair labelled in every batch."""

    epochs: int
    best_epoch: int
    users: int
    replayed_users: int
    labelled_pairs: int
    loss: float
    train_accuracy: float
    dev_accuracy: float | None
    warm_start: bool
    seed: int
    learned: bool = True
    """Whether the kept weights are other than those that the fit began with."""
    rate: float | None = None
    """Learning rate of the candidate that was kept; None in older manifests and where nothing was learned."""
    candidates: int = 1
    """How many fits were tried; `epochs`, `best_epoch` and `loss` are those of the one that was kept."""
    restarted: Annotated[bool, formerly("restarted", "afresh")] = False
    """Whether the kept weights began on the axes of today's users, rotated to where the champion's embeddings were."""
    objective: Objective = Objective.SIMILARITY
    labels: int | None = None
    """Labels that an epoch went through, and how many of them earlier versions have learned; None by similarity."""
    replayed_labels: int | None = None
    dev_auc: float | None = None
    """On labels of dev users, as the one that follows; None by similarity, or where they are too few."""
    dev_recall_at_50: float | None = None
    note: str | None = None
    """Why nothing could be learned."""


class Attempt(Frozen):
    """One trainer's work on a cycle, as the consumer saw it."""

    began: AwareDatetime
    ended: AwareDatetime | None = None
    """None where nobody saw the end: the consumer was stopped, or died."""
    error: str | None = None
    """Why the attempt failed; None where it did not, or where nobody saw its end."""


class CycleResult(Frozen):
    """The end of a cycle. `version` is set exactly when the outcome is `registered`."""

    cycle_id: str
    outcome: Outcome
    reason: str
    base_version: int | None
    version: int | None = None
    known_users: int | None = None
    fence: Annotated[int, Field(ge=0)] = 0
    """That of the request."""
    not_registered: Annotated[bool, formerly("not_registered", "absent")] = False
    """The registry was asked, and has no version of this cycle."""
    read: ReadReport | None = None
    labels: LabelReport | None = None
    probe: ProbeReport | None = None
    pairs: PairReport | None = None
    guard: GuardReport | None = None
    fit: FitReport | None = None
    gate: GateReport | None = None
    compatibility: CompatibilityReport | None = None
    """Whether the champion's vectors may go on being used; None without a champion, and in older results."""
    way_out: str | None = None
    """What a person can do, where the outcome is `held`."""
    asks_full: str | None = None
    """Why a full retrain is asked for, where one is."""
    seconds: dict[Step, float] = {}
    calls: tuple[CallReport, ...] = ()
    """Calls of stores and registry, those of failed attempts included; empty in older results."""
    step_starts: dict[Step, AwareDatetime] = {}
    """When each step of the last attempt began; empty in older results."""
    attempts: tuple[Attempt, ...] = ()
    """All attempts at the cycle that this machine saw, in order, added by the consumer; empty in older results."""
    settings: Recorded | None = None
    """By which settings the cycle worked, as far as they are not the defaults; None in older results."""
    packages: dict[str, str] = {}
    """With which releases of what; empty in older results."""

    @model_validator(mode="after")
    def _a_version_means_registered(self) -> Self:
        if (self.outcome is Outcome.REGISTERED) != (self.version is not None):
            raise ValueError(f"outcome {self.outcome} with version {self.version}")
        return self
