"""The unmodified SDK, logged in to a double: what the double's own tests look through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # before the SDK is imported, or it draws bars

import hopsworks

from schemas.features import FeatureGroup
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.rows.tables import Row
from tests.worlds import GROUP


@dataclass
class Client:
    """The SDK, logged in to a double."""

    double: HopsworksDouble
    project: Any
    store: Any

    @property
    def group(self) -> Any:
        """The feature group, asked for at each look."""
        group = self.double.cluster.spec.group
        return self.store.get_feature_group(group.name, version=group.version)

    def view(self, timeout: float = 5) -> Any:
        """A view served by the REST client."""
        group = self.group
        view = self.store.get_or_create_feature_view(f"{group.name}_retrainer", version=1, query=group.select_all())
        config = {"host": self.double.host, "port": 4406, "timeout": timeout, "verify_certs": True, "use_ssl": True}
        view.init_serving(1, init_rest_client=True, config_rest_client=config, reset_rest_client=True)
        return view

    def offline(self, query: Any = None) -> dict[str, Row]:
        """Rows of the offline store by key."""
        rows: dict[str, Row] = {}
        with (query or self.group.select_all()).read_batches() as batches:
            for batch in batches:
                rows |= by_key(batch.to_pylist(), self.double.cluster.spec.group)
        return rows

    def online(self, keys: list[str]) -> dict[str, Row]:
        """Rows of the online store by key, in SQL."""
        key = self.double.cluster.spec.group.primary_key
        group = self.group
        frame = group.filter(group[key].isin(keys)).read(online=True)
        rows: dict[str, Any] = by_key(frame.to_dict("records"), self.double.cluster.spec.group)
        values = self.double.cluster.codec.values
        return {user: {name: values(cell) for name, cell in row.items()} for user, row in rows.items()}


def by_key(rows: list[dict[str, Any]], group: FeatureGroup) -> dict[str, Any]:
    """Records as rows by key."""
    return {row.pop(group.primary_key): row for row in rows}


def vectors(view: Any, users: list[str], timeout: float | None = None) -> dict[str, list[Any]]:
    """The cells of users by key, through a view that is served."""
    keys = [{"user_id": user} for user in users]
    return {row[0]: row[1:] for row in view.get_feature_vectors(serving_keys=keys, return_type="list", timeout=timeout)}


@contextmanager
def logged_in(double: HopsworksDouble, folder: Path) -> Iterator[Client]:
    """Log in, and out at the end."""
    project = hopsworks.login(
        host=double.host,
        port=double.port,
        project=double.project,
        api_key_value=double.api_key_file.read_text().strip(),
        hostname_verification=True,
        trust_store_path=str(double.ca_file),
        cert_folder=str(folder / "certificates"),
    )
    try:
        yield Client(double, project, project.get_feature_store())
    finally:
        hopsworks.logout()


@contextmanager
def cluster_with(folder: Path, kafka: KafkaAccess | None = None, **spec: Any) -> Iterator[Client]:
    """A double of a group, GROUP where the spec names none, and the SDK logged in to it."""
    double = HopsworksDouble(folder / "double", ClusterSpec(**{"group": GROUP, **spec}), kafka)
    with double, logged_in(double, folder) as client:
        yield client
