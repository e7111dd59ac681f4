"""What all servers of the double share: the project's ids and names, its secrets, its rows."""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass, field

from schemas.events import Group
from tests.hopsworks_double.faults import Faults
from tests.hopsworks_double.rows.avro import RowCodec
from tests.hopsworks_double.rows.held import HeldGroup
from tests.hopsworks_double.rows.tables import FeatureTables
from tests.hopsworks_double.spec import ClusterSpec, KafkaAccess
from tests.tls.certificates import Pki

DOMAIN = "consul"
REST_PORT = 4406
MYSQL_PORT = 3306
FLIGHT_PORT = 5005
OPENSEARCH_PORT = 9200


def _drawn() -> int:
    # Clusters differ in their ids: the SDK names files in the shared temporary folder after them.
    return 1000 + secrets.randbelow(1_000_000_000)


@dataclass(kw_only=True)
class Cluster:
    """One project."""

    spec: ClusterSpec
    kafka: KafkaAccess | None
    host: str
    pki: Pki
    project_id: int = field(default_factory=_drawn)
    connector_id: int = field(default_factory=_drawn)
    feature_store_id: int = field(default_factory=_drawn)
    online_user: str = "spotify_tester"
    online_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    api_keys: set[str] = field(default_factory=set)
    """Those that are accepted."""
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        spec, labels = self.spec, self.spec.labels
        self.feature_store_id = spec.group.feature_store_id or self.feature_store_id
        self.users = self._held(spec.group, spec.online, spec.notification_topic, spec.event_time, spec.partition)
        self.groups = [self.users]
        """Every feature group of the project; that of the users comes first."""
        if labels is not None:
            online = spec.online if spec.labels_online is None else spec.labels_online
            time = labels.labelled_at if spec.label_history else None
            self.groups.append(self._held(labels, online, spec.label_topic, time, None))

    def _held(
        self, group: Group, online: bool, topic: str | None, time: str | None, partition: str | None
    ) -> HeldGroup:
        return HeldGroup(
            group=group,
            id=group.id or _drawn(),
            feature_store=self.feature_store,
            online=online,
            element=self.spec.element,
            event_time=time,
            partition=partition,
            time_travel=self.spec.time_travel,
            notification_topic=topic if online else None,
        )

    def held(self, number: int) -> HeldGroup:
        """The group of an id."""
        return next(one for one in self.groups if one.id == number)

    @property
    def labels(self) -> HeldGroup:
        """The label group, where the spec has one."""
        _, labels = self.groups
        return labels

    @property
    def feature_group_id(self) -> int:
        """The id of the users' group."""
        return self.users.id

    @property
    def store(self) -> FeatureTables:
        """The rows of the users' group."""
        return self.users.store

    @property
    def codec(self) -> RowCodec:
        """How the rows of the users' group are written."""
        return self.users.codec

    @property
    def notification_topic(self) -> str | None:
        """Where changes of users are announced."""
        return self.users.notification_topic

    @notification_topic.setter
    def notification_topic(self, topic: str | None) -> None:
        self.users.notification_topic = topic

    @property
    def feature_store(self) -> str:
        """The name of the project's feature store, and of its offline database."""
        return f"{self.spec.project}_featurestore"

    def tls(self) -> ssl.SSLContext:
        """How its HTTPS servers present themselves."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki.server_file)
        return context
