"""What all servers of the double share: the project's ids and names, its secrets, its rows."""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass, field

from tests.hopsworks.avro import RowCodec
from tests.hopsworks.certificates import Pki
from tests.hopsworks.faults import Faults
from tests.hopsworks.spec import ClusterSpec, KafkaAccess
from tests.hopsworks.tables import FeatureTables

DOMAIN = "consul"
REST_PORT = 4406
MYSQL_PORT = 3306
FLIGHT_PORT = 5005


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
    feature_group_id: int = field(default_factory=_drawn)
    online_user: str = "spotify_tester"
    online_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    api_keys: set[str] = field(default_factory=set)
    """Those that are accepted."""
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        group = self.spec.group
        self.feature_group_id = group.id or self.feature_group_id
        self.feature_store_id = group.feature_store_id or self.feature_store_id
        self.notification_topic = self.spec.notification_topic if self.spec.online else None
        self.store = FeatureTables(group, self.spec.element, self.spec.event_time, self.spec.partition)
        self.codec = RowCodec(group, self.spec.element, f"{self.feature_store}.db")

    @property
    def feature_store(self) -> str:
        """The name of the project's feature store, and of its offline database."""
        return f"{self.spec.project}_featurestore"

    @property
    def table(self) -> str:
        """The name of the feature group's table in either database."""
        return f"{self.spec.group.name}_{self.spec.group.version}"

    @property
    def columns(self) -> list[str]:
        """The primary key and the contract's columns."""
        return [self.spec.group.primary_key, *(column.name for column in self.spec.group.columns)]

    @property
    def features(self) -> list[str]:
        """All columns of the group's tables: also those that only tell rows of one key apart."""
        spec = self.spec
        return [*self.columns, *(name for name in (spec.event_time, spec.partition) if name is not None)]

    def tls(self) -> ssl.SSLContext:
        """How its HTTPS servers present themselves."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki.server_file)
        return context
