"""The control plane: login, feature group, queries, connectors, and everything that the other modules add to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial

from tests.hopsworks_double.cluster import DOMAIN, MYSQL_PORT, Cluster
from tests.hopsworks_double.control import metadata
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.https.routing import Router
from tests.hopsworks_double.https.server import ApiCall, ApiError, HttpsServer, Reply
from tests.hopsworks_double.rows.conditions import UnsupportedError, from_sdk
from tests.hopsworks_double.rows.held import HeldGroup

PREFIX = "/hopsworks-api/api"
SDK_VERSION = "5.2.1"

GROUP_NOT_FOUND = 270009
PROJECT_NOT_FOUND = 150004
VARIABLE_NOT_FOUND = 100051
INVALID_API_KEY = 320001


class ControlPlane:
    """Its routes by subject. Other parts of the cluster add theirs to `router` before it starts."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.router = Router()
        self.server = HttpsServer("control", (cluster.host, 0), cluster.tls(), self._answer, cluster.faults)
        self.server.prefix = PREFIX
        self.variables = {
            "service_discovery_domain": DOMAIN,
            "enable_flyingduck": "true",
            "loadbalancer_external_domain_feature_query": cluster.host,
            "loadbalancer_external_domain_mysqld": cluster.host,
            "loadbalancer_external_domain_online_store_rest_server": cluster.host,
        }
        """What the cluster's administrator has set."""
        self.project = f"/project/{cluster.project_id}"
        self.store = f"{self.project}/featurestores/{cluster.feature_store_id}"
        self._add_login()
        self._add_feature_group()
        self._add_reading()

    def _answer(self, call: ApiCall) -> Reply:
        key = call.headers.get("authorization", "").removeprefix("ApiKey ")
        if key not in self._cluster.api_keys:
            raise ApiError(401, INVALID_API_KEY, "The API key is not valid")
        return self.router(call)

    def _add_login(self) -> None:
        add = self.router.add
        add("GET", "/variables/versions", _always([{"software": "hopsworks", "version": SDK_VERSION}]))
        add("GET", "/variables/{name}", self._variable)
        add("GET", "/project", self._memberships)
        add("GET", "/project/getProjectInfo/{name}", self._project)
        add("GET", f"{self.project}/credentials", self._credentials)
        add("GET", f"{self.project}/featurestores", lambda _: Reply(200, [metadata.feature_store(self._cluster)]))
        add("GET", f"{self.project}/featurestores/{{name}}", self._feature_store)

    def _add_feature_group(self) -> None:
        add = self.router.add
        add("GET", f"{self.store}/featuregroups", self._feature_groups)
        for group in self._cluster.groups:
            self.serve(group)
        add("GET", f"{self.store}/featuregroups/{{name}}", self._feature_group)

    def serve(self, group: HeldGroup) -> None:
        """Answer requests about a group by its id."""
        path, add = f"{self.store}/featuregroups/{group.id}", partial(self.router.add, first=True)
        add("GET", path, partial(self._described, group))
        add("PUT", path, partial(self._update_feature_group, group))
        add("GET", f"{path}/commits", partial(_commits, group))
        add("GET", f"{path}/expectationsuite", _always(metadata.listing([])))

    def _add_reading(self) -> None:
        self.router.add("PUT", f"{self.project}/featurestores/query", self._query)
        self.router.add("GET", f"{self.store}/storageconnectors/onlinefeaturestore", self._online_connector)

    def _variable(self, call: ApiCall) -> Reply:
        if call.parts["name"] not in self.variables:
            raise ApiError(404, VARIABLE_NOT_FOUND, "Requested variable not found")
        return Reply(200, {"successMessage": self.variables[call.parts["name"]]})

    def _memberships(self, _: ApiCall) -> Reply:
        project = {"name": self._cluster.spec.project, "owner": {"uid": 1}}
        return Reply(200, [{"user": {"username": "tester", "uid": 1}, "project": project}])

    def _project(self, call: ApiCall) -> Reply:
        if call.parts["name"] != self._cluster.spec.project:
            raise ApiError(404, PROJECT_NOT_FOUND, "Project wasn't found.")
        return Reply(200, {"projectId": self._cluster.project_id, "projectName": self._cluster.spec.project})

    def _credentials(self, _: ApiCall) -> Reply:
        pki = self._cluster.pki
        return Reply(
            200,
            {
                "fileExtension": "jks",
                "kStore": base64.b64encode(pki.key_store).decode(),
                "tStore": base64.b64encode(pki.trust_store).decode(),
                "password": pki.password,
                "caChain": pki.ca_pem,
                "clientCert": pki.client_pem,
                "clientKey": pki.client_key_pem,
            },
        )

    def _feature_store(self, call: ApiCall) -> Reply:
        if call.parts["name"] != self._cluster.feature_store:
            raise ApiError(404, GROUP_NOT_FOUND, "Featurestore wasn't found.")
        return Reply(200, metadata.feature_store(self._cluster))

    def _feature_groups(self, _: ApiCall) -> Reply:
        groups = [metadata.feature_group(self._cluster, group) for group in self._cluster.groups]
        return Reply(200, metadata.listing(groups))

    def _described(self, group: HeldGroup, _: ApiCall) -> Reply:
        return Reply(200, metadata.feature_group(self._cluster, group))

    def _feature_group(self, call: ApiCall) -> Reply:
        version = call.argument("version", "")
        found = [group for group in self._cluster.groups if group.is_of(call.parts["name"], version)]
        if not found:
            raise ApiError(404, GROUP_NOT_FOUND, "Featuregroup wasn't found.")
        return Reply(200, [metadata.feature_group(self._cluster, group) for group in found])

    def _update_feature_group(self, group: HeldGroup, call: ApiCall) -> Reply:
        # Of all metadata that a client may change, only topic and description mean something here.
        if call.argument("updateMetadata").lower() == "true":
            group.notification_topic = call.json()["notificationTopicName"] or None
            group.description = call.json()["description"] or ""
        return self._described(group, call)

    def _query(self, call: ApiCall) -> Reply:
        cluster, asked = self._cluster, call.json()
        columns = [feature["name"] for feature in asked["leftFeatures"]]
        group = cluster.held(asked["leftFeatureGroup"]["id"])
        try:
            condition = from_sdk(asked["filter"], group.keys) if asked.get("filter") else None
        except UnsupportedError as error:
            raise ApiError(400, 120001, f"the double does not know {error}") from None
        names = ", ".join(f"`fg0`.`{name}` `{name}`" for name in columns)
        where = f"\nWHERE {condition.sql('`fg0`')}" if condition is not None else ""
        answer: Json = {
            "query": f"SELECT {names}\nFROM `{cluster.feature_store}`.`{group.table}` `fg0`{where}",
            "queryOnline": f"SELECT {names}\nFROM `{cluster.spec.project}`.`{group.table}` `fg0`{where}",
            "onDemandFeatureGroups": [],
            "hudiCachedFeatureGroups": [],
        }
        if call.argument("hqs").lower() == "true":
            # The SDK passes the payload on as it is; its true form is not known, so the double has its own.
            payload = {"group": group.id, "columns": columns, "filter": asked.get("filter")}
            answer["hqsPayload"] = json.dumps(payload)
            answer["hqsPayloadSignature"] = "c2lnbmVk"
        return Reply(200, answer)

    def _online_connector(self, _: ApiCall) -> Reply:
        cluster = self._cluster
        arguments = {
            "user": cluster.online_user,
            "password": cluster.online_password,
            "isolationLevel": "NONE",
            "driver": "com.mysql.cj.jdbc.Driver",
        }
        options = "useSSL=false&allowPublicKeyRetrieval=true"
        return Reply(
            200,
            {
                "type": "featurestoreJdbcConnectorDTO",
                "storageConnectorType": "JDBC",
                "id": cluster.connector_id + 1,
                "name": "onlinefs",
                "featurestoreId": cluster.feature_store_id,
                "connectionString": f"jdbc:mysql://onlinefs.mysql.service.{DOMAIN}:{MYSQL_PORT}/{cluster.spec.project}?{options}",
                "arguments": [{"name": name, "value": value} for name, value in arguments.items()],
            },
        )


def _commits(group: HeldGroup, call: ApiCall) -> Reply:
    offset, limit = int(call.argument("offset", "0")), call.argument("limit")
    newest_first = group.store.commits[::-1]
    page = newest_first[offset : offset + int(limit) if limit else None]
    items = [
        {
            "commitID": commit.id,
            "commitTime": commit.id,
            "rowsInserted": commit.inserted,
            "rowsUpdated": commit.updated,
            "rowsDeleted": commit.deleted,
        }
        for commit in page
    ]
    return Reply(200, {"count": len(newest_first), "items": items})


def _always(body: object) -> Callable[[ApiCall], Reply]:
    return lambda _: Reply(200, body)
