"""Rules, dashboard and pages name only metrics, labels and values that the registry has; each alert is told of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from consumer.metrics import reference
from consumer.metrics.metric import OTHER
from consumer.metrics.registry import PROCESS_SERIES, by_series
from schemas.watching.notifications import AlertName
from tests.promql import Query, parse
from tests.unit.project.code import ROOT
from tests.unit.project.pages import anchors

OBSERVABILITY = ROOT / "observability"
RULES = OBSERVABILITY / "rules" / "retrainer.yml"
DASHBOARD = OBSERVABILITY / "grafana" / "dashboards" / "retrainer.json"
ALERT_TESTS = ROOT / "tests" / "observability" / "alerts.yml"
PAGE = ROOT / "docs" / "alerts.md"

OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds to whatever it scrapes."""
SERIES: dict[str, tuple[str, ...]] = {
    **{series: metric.label_names for series, metric in by_series().items()},
    **dict.fromkeys(PROCESS_SERIES, ()),
    "up": (),
    "ALERTS": ("alertname", "alertstate", "severity"),
}
NO_METRICS = {"retrainer_ledger"}  # names of databases and the like that pages show
PROMISED = (
    *("Down", "Held", "Failing", "Stalled", "DeadLetters", "NoVersion", "FreshnessBroken", "FreshnessAtRisk"),
    *("LedgerDown", "Trouble", "Gaps"),
)


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """Where, query, and the words for people that belong to it."""
    for rule in rules():
        yield f"alert {rule['alert']}", rule["expr"], " ".join(rule["annotations"].values())
    for panel in panels():
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"], target["legendFormat"]
    for annotation in dashboard()["annotations"]["list"]:
        yield "annotation", annotation["expr"], ""


def strangers(query: Query, words: str = "") -> list[str]:
    """What a query, or the words that belong to it, name and the registry does not have."""
    wrong = []
    for used in query.metrics:
        if used.metric not in SERIES:
            wrong.append(used.metric)
            continue
        wrong += [
            f"{used.metric}{{{label}{operator}{value!r}}}"
            for label, operator, value in used.matchers
            if label not in {*SERIES[used.metric], *OF_PROMETHEUS} or not _may_be(used.metric, label, operator, value)
        ]
    known = {label for used in query.metrics for label in SERIES.get(used.metric, ())} | OF_PROMETHEUS
    wrong += sorted(query.grouped - known)
    told = set(re.findall(r"\$labels\.(\w+)", words)) | set(re.findall(r"\{\{(\w+)\}\}", words))
    return wrong + sorted(told - known)


def _may_be(series: str, label: str, operator: str, value: str) -> bool:
    metric = by_series().get(series)
    allowed = next((one.values for one in metric.labels if one.name == label), ()) if metric else ()
    given = value.split("|") if operator in {"=~", "!~"} else [value]
    return not allowed or all(one in {*allowed, OTHER} for one in given)


@pytest.mark.parametrize(("where", "query", "words"), list(queries()))
def test_a_query_uses_what_the_registry_has(where: str, query: str, words: str) -> None:
    assert strangers(parse(query), words) == []


@pytest.mark.parametrize(
    ("query", "words", "found"),
    [
        ("retrainer_pendings", "", ["retrainer_pendings"]),
        ('retrainer_pending{who="users"}', "", ["retrainer_pending{who='users'}"]),
        ('retrainer_pending{what="user"}', "", ["retrainer_pending{what='user'}"]),
        ('retrainer_pending{what=~"users|label"}', "", ["retrainer_pending{what='users|label'}".replace("=", "=~")]),
        ("sum by (user) (retrainer_pending)", "", ["user"]),
        ("retrainer_pending", "{{limit}}", ["limit"]),
        ("retrainer_pending > 0", "{{ $labels.limit }}", ["limit"]),
        ("retrainer_cycle_duration_seconds", "", ["retrainer_cycle_duration_seconds"]),  # has no such series
        ('sum by (le) (rate(retrainer_cycle_duration_seconds_bucket{kind="full", job="x"}[5m]))', "{{le}}", []),
    ],
)
def test_what_the_registry_does_not_have_is_found(query: str, words: str, found: list[str]) -> None:
    assert strangers(parse(query), words) == found


@pytest.mark.parametrize("query", ["sum(", "{job='x'}", "nonsense(up)", "up{job}", "up[5q]", "1 + 1", "up # no"])
def test_a_query_that_is_not_understood_is_no_pass(query: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(query)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_names_metrics_that_the_registry_has(page: Path) -> None:
    named = set(re.findall(r"`(retrainer_[a-z_]+)\b", page.read_text()))
    families = {metric.name for metric in by_series().values()}
    assert named - SERIES.keys() - families - NO_METRICS == set()


def test_the_page_of_metrics_is_current() -> None:
    text = reference.PAGE.read_text()
    assert reference.page(text) == text


def test_every_alert_that_was_promised_is_there_once() -> None:
    names = [rule["alert"] for rule in rules()]
    assert sorted(names) == sorted(f"Retrainer{name}" for name in PROMISED)


def test_what_people_are_told_of_by_messages_is_an_alert_here_too() -> None:
    told = {"".join(word.capitalize() for word in name.split("_")) for name in AlertName}
    assert told <= {*PROMISED}


def test_every_alert_has_a_way_out_on_its_page() -> None:
    for rule in rules():
        place = f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == place
        assert rule["alert"].lower() in anchors(PAGE)
        assert rule["labels"]["severity"] in {"critical", "warning"}
    told = re.findall(r"^## (Retrainer\w+)$", PAGE.read_text(), re.MULTILINE)
    assert told == [rule["alert"] for rule in rules()]


def test_every_alert_is_tested_when_it_fires_and_when_it_is_silent() -> None:
    tested = [one for test in yaml.safe_load(ALERT_TESTS.read_text())["tests"] for one in test["alert_rule_test"]]
    fires = {one["alertname"] for one in tested if one.get("exp_alerts")}
    silent = {one["alertname"] for one in tested if not one.get("exp_alerts")}
    assert fires == silent == {rule["alert"] for rule in rules()}


def test_panels_have_ids_of_their_own_and_lie_beside_each_other() -> None:
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_what_compose_mounts_is_there_and_the_service_is_scraped_where_it_listens() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["observability"]
        assert re.fullmatch(r"docker\.io/[\w/-]+:v?\d+\.\d+\.\d+", services[name]["image"])
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])
        mounted = [volume.split(":")[0] for volume in services[name]["volumes"] if volume.startswith("./")]
        assert mounted
        assert all((ROOT / place).exists() for place in mounted)
    (scraped,) = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())["scrape_configs"]
    (target,) = scraped["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    environment = services["retrainer"]["environment"]
    assert host in services
    assert environment["RETRAINER_HTTP__ALLOWED_HOSTS"] in {host, f"${{RETRAINER_HTTP__ALLOWED_HOSTS:-{host}}}"}
    assert environment["RETRAINER_HTTP__HOST"] == "0.0.0.0"  # noqa: S104  (of a container)
    assert services["retrainer"]["ports"][0].endswith(f":{port}")
    sources = yaml.safe_load((OBSERVABILITY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    assert sources["datasources"][0]["uid"] == dashboard()["panels"][1]["datasource"]["uid"]
