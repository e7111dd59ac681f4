"""A Hopsworks cluster: where it is, how patiently it is spoken with, and what the consumer needs to know of a group.

The API key is never part of these: they go into requests on disk. It is read where it is used, at every login.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import DURATION, LONGEST, Frozen, Policy, Seconds, SomeSeconds
from schemas.policies import Positive
from schemas.units import SECONDS


class Hopsworks(Policy):
    """One project of a cluster, and the patience with it."""

    host: Annotated[str, Field(min_length=1, examples=["hopsworks.example.com"])]
    """Host of the cluster. Setting host and project turns the cluster on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 443
    """Port of the cluster's REST interface."""
    project: Annotated[str, Field(min_length=1, examples=["spotify"])]
    """Project that the groups and the models belong to."""
    api_key_file: Path | None = None
    """The file with the API key; without it the usual places are tried, see `stores.hopsworks.secrets`."""
    verify: bool = True
    """Whether the cluster's certificates are checked."""
    ca_file: Path | None = None
    """The certificates (PEM) of a private CA; without it those that the machine trusts."""
    request_timeout: SomeSeconds = 30.0
    """How long the control plane may stay silent."""
    retry_for: Seconds = 60.0
    """How long a request that may be repeated is tried again."""


class HopsworksStore(Policy):
    """The feature store of the cluster: online rows by key, the offline store for all of them."""

    kind: Literal["hopsworks"] = "hopsworks"
    """The feature store of a Hopsworks cluster; the default where a cluster is named."""
    feature_view: str | None = None
    """Feature view through which rows are read by key; None for `<group>_retrainer`. A missing view is created."""
    feature_view_version: Annotated[int, Field(ge=1)] = 1
    """Version of that feature view."""
    snapshot: Literal["offline", "online"] = "offline"
    """Where all users are read: the offline store, corrected by key, or the online store, by one scan in SQL."""
    online_host: str | None = None
    """Host of the online store's REST server, where it differs from what the cluster says."""
    online_port: Annotated[int, Field(ge=1, le=65535)] = 4406
    """Port of the online store's REST server."""
    keys_per_read: Annotated[int, Field(ge=1, le=1000)] = 200
    """Most users that one read by key asks for."""
    read_timeout: SomeSeconds = 10.0
    """How long one read of `keys_per_read` keys may take."""
    query_timeout: SomeSeconds = 900.0
    """How long the query service may take with a snapshot."""
    awaits_ingestion: bool = False
    """Whether events come before the rows that they announce, as on the ingestion topic: reading then waits for the
    ingestion service."""
    ingestion_timeout: SomeSeconds = 600.0
    """How long reading waits for the ingestion before the cycle fails, to be tried again."""
    ingestion_delay: Seconds = 30.0
    """How long reading waits where the cluster cannot tell how far an ingestion is, as with streaming inserts."""


class HopsworksRegistry(Policy):
    """The model registry of the cluster."""

    kind: Literal["hopsworks"] = "hopsworks"
    """The model registry of a Hopsworks cluster; the default where a cluster is named."""
    await_registration: Annotated[float, Field(ge=10, le=LONGEST), DURATION, SECONDS] = 120.0
    """How long the SDK waits until the registry shows a version that it took; it looks every 5 seconds."""
    settle_for: Seconds = 30.0
    """How long a version whose files are all there, but whose entry is not, is waited for before it is taken back."""
    upload_attempts: Annotated[int, Field(ge=1)] = 3
    """How often one call tries to save a version before it gives up; the cycle may be tried again after that."""
    tag: str = "retrainer"
    """The tag that mirrors the champion, where the cluster has a schema of that name."""
    keep: Positive | None = 50
    """How many of the newest versions stay. The champion, the baseline, what is pinned, and what else somebody needs
    stay too; the others are deleted. None keeps every version."""
    training_dataset: bool = False
    """Whether versions name a training dataset, which the cluster's monitoring compares with. Each training from
    scratch then has the cluster copy the whole feature group."""


class HopsworksDeployment(Policy):
    """The deployment of the cluster that serves the champion."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9]+$", examples=["recommender"])]
    """Name of the deployment, of letters and digits; one that is missing is created. Setting the name turns this on."""
    ready_within: Annotated[float, Field(ge=5, le=LONGEST), DURATION, SECONDS] = 600.0
    """How long a new version of the deployment may take until it is ready, before it is taken back."""


Source = Literal["notification", "ingestion", "bridge"]
"""Where change events come from: the group's notification topic, its ingestion topic, or that of `retrainer bridge`."""


class KafkaAccess(Frozen):
    """How the cluster says that its Kafka is reached. The files are private copies of ours."""

    bootstrap_servers: tuple[str, ...]
    security_protocol: Literal["PLAINTEXT", "SSL"]
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_check_hostname: bool = True


class GroupFacts(Frozen):
    """What the consumer has to know of a feature group and of the cluster's Kafka."""

    feature_group_id: int
    feature_store_id: int
    online_enabled: bool
    notification_topic: str | None
    ingestion_topic: str | None
    kafka: KafkaAccess | None
    """None where the group is offline-only and the cluster's Kafka was not asked for."""
    labels: GroupFacts | None = None
    """Those of the label group, where one is set; its `kafka` is None, as it is the same."""
