"""Model events: what happened to the versions of a model, as CloudEvents 1.0 in JSON (structured mode).

They go to a topic and to a webhook, at least once. Each names the champion after it, and the number of the promotion
that made it so: whoever follows the champion takes the greatest number, and neither repetition nor order matters.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from schemas.base import Frozen
from schemas.compatibility import CompatibilityReport
from schemas.cycle import Metrics, Outcome
from schemas.manifest import CANDIDATE_TOWER_FILE, MANIFEST_FILE, MODEL_FILE, QUERY_TOWER_FILE

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"


class ModelEventType(StrEnum):
    """What happened. The values are the `type` of the CloudEvents."""

    PROMOTED = "retrainer.promoted"
    """A version became champion: by its cycle, or by order of a person."""
    ROLLED_BACK = "retrainer.rolled-back"
    """A person has gone back to an earlier version, which is champion again."""
    REGISTERED = "retrainer.registered"
    """A version was registered, and did not become champion."""
    REFUSED = "retrainer.refused"
    """A challenger was rejected, or the exam could not tell: no version."""
    HELD = "retrainer.held"
    """The data were not believed: a person has to look."""


class ModelEventFacts(Frozen):
    """What the ledger knows of the event when it happens."""

    version: int | None
    """The version that the event is about; None where there is none."""
    champion: int | None
    """The champion after the event; None before the first."""
    promotion: int
    """The number of the promotion that made it champion, growing; 0 before the first."""
    previous: int | None = None
    """The champion before, where the event changed the champion."""
    cycle_id: str | None
    """The cycle that made the version, or that ended so."""
    outcome: Outcome | None = None
    """How that cycle ended."""
    reason: str
    """Why, in one sentence."""
    by: str | None = None
    """The person who gave the order; None where a cycle did it."""
    towers_changed: bool | None = None
    """Whether a tower differs from `previous`, as far as is known; where not, its vectors stay good. None where the
    champion has not changed."""
    index_compatible_with: int | None = None
    """The earlier version whose vectors may go on being used with queries of `version`; None for none."""
    compatibility: CompatibilityReport | None = None
    """The figures of that."""
    figures: Metrics | None = None
    """Of the challenger, when the cycle judged it."""
    champion_figures: Metrics | None = None
    """Of the champion then, on the same users."""
    way_out: str | None = None
    """What a person can do, where data were held."""


class ModelFiles(Frozen):
    """Where the files of a version lie."""

    registry: Literal["local", "hopsworks"]
    """A folder, or the registry of a cluster."""
    path: str
    """The folder of the version: on the machine of the service, or in the project of the cluster."""
    model: str = MODEL_FILE
    """The whole model, below `path`, as those that follow."""
    query_tower: str = QUERY_TOWER_FILE
    """The tower of queries alone."""
    candidate_tower: str = CANDIDATE_TOWER_FILE
    """The tower of candidates alone."""
    manifest: str = MANIFEST_FILE
    """What the version is: scaling, policies, seeds, and each file with its SHA-256."""


class ModelEventData(ModelEventFacts):
    """The `data` of a model event."""

    model_name: str
    """The name of the model in the registry."""
    files: ModelFiles | None
    """Of `version`."""


class ModelEvent(Frozen):
    """A model event as it is sent: a CloudEvent."""

    specversion: Literal["1.0"] = "1.0"
    """Of CloudEvents."""
    id: str
    """The same whenever the event is sent again; also the `webhook-id`."""
    source: str
    """`/retrainer/` and the id of the ledger."""
    type: ModelEventType
    """What happened."""
    subject: str
    """Model name and version, as in `two_tower_recommender/7`; the name alone where there is no version."""
    time: AwareDatetime
    """When it happened, by the ledger."""
    sequence: str
    """Grows with each event of a ledger, compared as a text (the CloudEvents extension `sequence`)."""
    traceparent: str | None = None
    """The span of the cycle that it tells of, by W3C Trace Context (the CloudEvents extension for distributed tracing).
    Absent where no traces are sent, and for a person's order."""
    datacontenttype: Literal["application/json"] = "application/json"
    """Of `data`."""
    data: ModelEventData
    """Everything that is known of it."""

    def body(self) -> bytes:
        """The event as it goes over the wire; the same bytes each time."""
        return self.model_dump_json(exclude=None if self.traceparent else {"traceparent"}).encode()
