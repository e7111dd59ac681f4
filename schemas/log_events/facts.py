"""What the trainer reports of the steps of a cycle: the `facts` of the event `step`, which readers take by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel

from schemas.cycle import FitReport, PairReport, ProbeReport, Step


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What one step may report.

    Attributes:
        own: facts by name, with their meaning.
        report: the report whose fields the step reports at its end; its class says what they mean.
    """

    own: Mapping[str, str] = field(default_factory=dict)
    report: type[BaseModel] | None = None

    @property
    def names(self) -> frozenset[str]:
        """All that it may report."""
        return frozenset({*self.own, *(self.report.model_fields if self.report else ())})


STEP_FACTS: Mapping[Step, StepFacts] = MappingProxyType(
    {
        Step.READ: StepFacts(
            {
                "accepted": "users whose rows were read and taken",
                "deleted": "users who are not in the feature store any more",
                "refused": "rows that were refused, with a reason on record",
                "labels": "labels that were read; only where labels are learned",
            }
        ),
        Step.EMBED: StepFacts({"users": "users in the matrix"}),
        Step.PAIR: StepFacts(report=PairReport),
        Step.BASE: StepFacts({"version": "the version that is trained on; absent for a new model"}),
        Step.PROBE: StepFacts(report=ProbeReport),
        Step.FIT: StepFacts(
            {
                "loss": "mean loss of the epoch",
                "train_accuracy": "accuracy of the epoch on what is learned",
                "dev_accuracy": "accuracy on the dev users, who are not learned",
                "dev_recall": "recall on the dev users",
                "dev_auc": "AUC on the labels of dev users; only where labels are learned, as the next",
                "dev_recall_at_50": "recall among the fifty nearest, by the labels of dev users",
            },
            report=FitReport,
        ),
        Step.GATE: StepFacts(
            {
                "outcome": "`passed`, `rejected`, `inconclusive` or `unchanged`",
                "challenger_accuracy": "accuracy of the challenger on the held-out users; absent without a challenger",
                "champion_accuracy": "accuracy of the champion on the same users; absent without a champion",
                "challenger_outcome_auc": "AUC of the challenger on held-out labels; only where labels are learned",
                "champion_outcome_auc": "AUC of the champion on held-out labels; only where labels are learned",
                "lower_bound": "the lower bound of challenger less champion; absent without a comparison",
                "index_kept": "share of the champion's recall that the challenger keeps among the champion's vectors",
            }
        ),
        Step.PACKAGE: StepFacts({"files": "files of the version", "bytes": "bytes in them"}),
        Step.REGISTER: StepFacts({"version": "the version that was registered"}),
    }
)
"""By step. A fact without a value is left out."""
