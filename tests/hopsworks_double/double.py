"""A whole cluster in this process: start it, point the SDK at it, and make it do what a test needs."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.hopsworks_double.addresses import Address
from tests.hopsworks_double.cluster import DOMAIN, Cluster
from tests.hopsworks_double.control.created import CreatedGroups
from tests.hopsworks_double.control.feature_views import FeatureViews
from tests.hopsworks_double.control.ingestions import Ingestions
from tests.hopsworks_double.control.jobs import Jobs
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import HttpsServer, Request
from tests.hopsworks_double.kafka.api import KafkaApi
from tests.hopsworks_double.kafka.ingestion import IngestionService
from tests.hopsworks_double.offline.query_service import QueryService
from tests.hopsworks_double.online.mysql_server import MysqlServer
from tests.hopsworks_double.online.rest import OnlineRest
from tests.hopsworks_double.online.vector_database import VectorDatabase
from tests.hopsworks_double.registry.models import RegistryDouble
from tests.hopsworks_double.rows.held import HeldGroup
from tests.hopsworks_double.serving.deployments import Deployments
from tests.hopsworks_double.spec import ClusterSpec, KafkaAccess, Variants
from tests.tls.certificates import Pki

__all__ = ["ClusterSpec", "HopsworksDouble", "KafkaAccess", "Variants"]


class HopsworksDouble:
    """One project on one host. It may be stopped and started again, and keeps what it holds."""

    def __init__(self, folder: Path, spec: ClusterSpec, kafka: KafkaAccess | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._address = Address()
        self.host = self._address.host
        self.project = spec.project
        names = [self.host, "127.0.0.1", "localhost", f"flyingduck.service.{DOMAIN}"]
        self.pki = Pki(folder / "pki", names, f"{spec.project}__tester")
        self.ca_file = self.pki.ca_file
        self.api_key_file = folder / "api_key"
        self.cluster = Cluster(spec=spec, kafka=kafka, host=self.host, pki=self.pki)
        self.faults = self.cluster.faults
        self.store = self.cluster.store
        self.control = ControlPlane(self.cluster)
        self.views = FeatureViews(self.cluster, self.control)
        self.kafka_api = KafkaApi(self.cluster, self.control)
        self.ingestions = Ingestions(self.cluster, self.control)
        self.jobs = Jobs(self.control)
        self.created = CreatedGroups(self.cluster, self.control, self.kafka_api, self.ingestions)
        self.registry = RegistryDouble(self.cluster, self.control)
        self.deployments = Deployments(self.cluster, self.control)
        self.control_plane = self.control.server
        self.online_rest = OnlineRest(self.cluster, self.views).server
        self.vector_database = VectorDatabase(self.cluster, self.control).server
        self.query_service = QueryService(self.cluster)
        self.mysql = MysqlServer(self.cluster)
        self.ingestion = IngestionService(self.cluster, self.ingestions, self.views)
        self.api_key = ""
        self.rotate_api_key()

    @property
    def port(self) -> int:
        """The control plane's, known once it has been started."""
        return self.control_plane.port

    @property
    def requests(self) -> list[Request]:
        """What the control plane has served."""
        return self.control_plane.requests

    @property
    def project_id(self) -> int:
        """The project's id."""
        return self.cluster.project_id

    @property
    def feature_store_id(self) -> int:
        """The feature store's id."""
        return self.cluster.feature_store_id

    @property
    def feature_group_id(self) -> int:
        """The feature group's id."""
        return self.cluster.feature_group_id

    @property
    def labels(self) -> HeldGroup:
        """The label group and its rows, where the spec has one."""
        return self.cluster.labels

    @property
    def kafka(self) -> KafkaAccess | None:
        """The broker. May be set until the start: a broker with TLS needs the double's certificates first."""
        return self.cluster.kafka

    @kafka.setter
    def kafka(self, kafka: KafkaAccess | None) -> None:
        self.cluster.kafka = kafka

    @property
    def notification_topic(self) -> str | None:
        """Where notifications go now."""
        return self.cluster.notification_topic

    def start(self) -> None:
        """Start everything that is not running."""
        self._address.claim()
        self.kafka_api.start()
        for server in self._servers():
            server.start()

    def stop(self) -> None:
        """Stop everything. Fails if the double itself did anything wrong meanwhile."""
        for server in self._servers()[::-1]:
            server.stop()
        self._address.release()
        crashes = [
            crash
            for part in (self.control_plane, self.online_rest, self.vector_database, self.mysql, self.ingestion)
            for crash in part.crashes
        ]
        assert not crashes, "the double crashed:\n" + "\n".join(crashes)

    def _servers(self) -> tuple[HttpsServer | QueryService | MysqlServer | IngestionService, ...]:
        """Everything that is started, in order."""
        web = (self.control_plane, self.online_rest, self.vector_database)
        return (*web, self.query_service, self.mysql, self.ingestion)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """The settings that lead the service to this cluster and its groups."""
        labels = self.cluster.spec.labels
        named = {"name": labels.name, "version": labels.version} if labels is not None else {}
        return {
            "RETRAINER_HOPSWORKS__HOST": self.host,
            "RETRAINER_HOPSWORKS__PORT": str(self.port),
            "RETRAINER_HOPSWORKS__PROJECT": self.project,
            "RETRAINER_HOPSWORKS__API_KEY_FILE": str(self.api_key_file),
            "RETRAINER_HOPSWORKS__CA_FILE": str(self.ca_file),
            "RETRAINER_FEATURE_GROUP__NAME": self.cluster.spec.group.name,
            "RETRAINER_FEATURE_GROUP__VERSION": str(self.cluster.spec.group.version),
            **{f"RETRAINER_LABELS__{setting.upper()}": str(value) for setting, value in named.items()},
        }

    def rotate_api_key(self) -> str:
        """Only a new key is accepted from now on. It is in the key's file, and given back."""
        self.api_key = f"{secrets.token_hex(8)}.{secrets.token_urlsafe(48)}"
        self.api_key_file.touch(mode=0o600)
        self.api_key_file.write_text(self.api_key + "\n")
        self.set_api_key_valid(True)
        return self.api_key

    def set_api_key_valid(self, valid: bool) -> None:
        """Whether the key is accepted; 401 otherwise, also of the online store's REST server."""
        self.cluster.api_keys.clear()
        if valid:
            self.cluster.api_keys.add(self.api_key)

    def rotate_online_password(self) -> None:
        """MySQL wants a new password, which the storage connector hands out; connections are cut."""
        self.cluster.online_password = secrets.token_urlsafe(24)
        self.mysql.cut()
