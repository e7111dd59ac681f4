"""Worlds in which one thing is broken: how it is broken, which check has to say so, and in which words."""

from __future__ import annotations

import shutil
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from consumer.settings import Settings
from retrainer.doctor import control_plane
from schemas.features import Column
from tests.brokers.apache_kafka import free_port
from tests.hopsworks_double import Fault, HopsworksDouble, Status
from tests.hopsworks_double.faults import Server
from tests.tls.certificates import Pki
from tests.worlds import GROUP

GB = 10**9


@dataclass(frozen=True)
class Sound:
    """What is broken: a cluster, the settings that lead to it, and this process."""

    double: HopsworksDouble
    settings: Settings
    process: pytest.MonkeyPatch


@dataclass(frozen=True)
class Broken:
    """A breakage, and the words in which its check tells what it found and what to do."""

    breaking: Callable[[Sound], Settings | None]
    """Gives other settings where they are what is broken."""
    check: str
    found: str
    todo: str


def with_cluster(settings: Settings, **changes: object) -> Settings:
    assert settings.hopsworks is not None
    return settings.model_copy(update={"hopsworks": settings.hopsworks.model_copy(update=changes)})


def with_kafka(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=changes)})


def with_group(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"feature_group": settings.feature_group.model_copy(update=changes)})


def answering(where: str, status: int, server: Server = "control", **more: Any) -> Callable[[Sound], None]:
    def breaking(sound: Sound) -> None:
        sound.double.faults.add(Fault(server, where, Status(status, **more), times=None))

    return breaking


def other_authority(sound: Sound) -> Settings:
    other = Pki(sound.settings.state_dir / "other", ["localhost"], "somebody")
    return with_cluster(sound.settings, ca_file=other.ca_file)


def empty_key(sound: Sound) -> Settings:
    file = sound.settings.state_dir / "key"
    file.write_text("\n")
    return with_cluster(sound.settings, api_key_file=file)


def told_to(topic: str | None) -> Callable[[Sound], None]:
    def breaking(sound: Sound) -> None:
        sound.double.cluster.notification_topic = topic

    return breaking


def variable(name: str, value: str | None) -> Callable[[Sound], None]:
    def breaking(sound: Sound) -> None:
        del sound.double.control.variables[name]
        if value is not None:
            sound.double.control.variables[name] = value

    return breaking


def other_time(sound: Sound) -> None:
    sound.process.setattr(control_plane, "_now", lambda: time.time() + 120)


Usage = namedtuple("Usage", "total used free")


def full_disk(sound: Sound) -> None:
    sound.process.setattr(shutil, "disk_usage", lambda _path: Usage(100 * GB, 100 * GB, GB // 10))


_OTHER_COLUMNS = (*GROUP.columns[:-1], Column(name="month", length=1))
_QUERIES = "loadbalancer_external_domain_feature_query"

BROKEN = {
    "nobody there": Broken(
        lambda sound: with_cluster(sound.settings, port=free_port()), "cluster", "no connection", "__HOST"
    ),
    "other authority": Broken(other_authority, "cluster", "no secure connection", "RETRAINER_HOPSWORKS__CA_FILE"),
    "cluster ill": Broken(answering("/variables/versions", 503), "cluster", "HTTP 503", "wait"),
    "not Hopsworks": Broken(answering("", 200, body=b"<html>"), "cluster", "not as Hopsworks does", "proxy"),
    "no key": Broken(empty_key, "API key", "is empty", "RETRAINER_HOPSWORKS__API_KEY_FILE"),
    "wrong key": Broken(
        lambda sound: sound.double.set_api_key_valid(False), "API key", "refuses the key from", "API keys"
    ),
    "no project": Broken(
        lambda sound: with_cluster(sound.settings, project="other"), "project", "no project other", "__PROJECT"
    ),
    "lacking scope": Broken(answering("/credentials", 403), "project", "HTTP 403", "scopes project"),
    "no group": Broken(lambda sound: with_group(sound.settings, name="others"), "feature group", "others", "__NAME"),
    "other columns": Broken(
        lambda sound: with_group(sound.settings, columns=_OTHER_COLUMNS), "feature group", "month", "__COLUMNS"
    ),
    "told to nobody": Broken(
        told_to(None), "notification topic", "tells nobody", r"retrainer setup-hopsworks.* 30 minutes"
    ),
    "no topic": Broken(told_to("t-nowhere"), "topic", "no topic t-nowhere", "retrainer setup-hopsworks"),
    "no brokers": Broken(
        lambda sound: with_kafka(sound.settings, bootstrap_servers=["127.0.0.1:9"]),
        "Kafka",
        "127.0.0.1:9: ",
        "RETRAINER_KAFKA__BOOTSTRAP_SERVERS",
    ),
    "no writing": Broken(
        answering("POST .*/retrainer_doctor", 403), "model registry", "not permitted", "dataset_create"
    ),
    "no removing": Broken(
        answering("DELETE .*/retrainer_doctor", 403), "model registry", "not removed", "remove /Projects/.* by hand"
    ),
    "no registry": Broken(
        answering("GET .*/Models$", 400, error_code=110018), "model registry", "no dataset Models", "enable serving"
    ),
    "queries away": Broken(
        lambda sound: sound.double.query_service.stop(), "query service", "no connection .*:5005", "firewall"
    ),
    "queries off": Broken(variable("enable_flyingduck", "false"), "query service", "not enabled", "SNAPSHOT=online"),
    "queries nowhere": Broken(variable(_QUERIES, None), "query service", "does not say where", _QUERIES),
    "queries ill": Broken(
        answering("do_get", 500, "flight", message="out of memory"), "query service", "out of memory", "runs"
    ),
    "REST away": Broken(
        lambda sound: sound.double.online_rest.stop(), "online read", "no connection .*:4406", "ONLINE_HOST"
    ),
    "REST ill": Broken(answering("POST", 500, "rest"), "online read", "HTTP 500", "runs"),
    "other time": Broken(other_time, "clock", "1(19|20) s ahead of the cluster's", "NTP"),
    "full disk": Broken(full_disk, "disk", "0.1 GB free", "make room"),
}
