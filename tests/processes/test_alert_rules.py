"""Configuration and rules of Prometheus, as its own tool sees them, and a test of each alert."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.project.code import ROOT

RULES = ROOT / "observability" / "rules" / "retrainer.yml"
ALERTS = ROOT / "tests" / "observability" / "alerts.yml"
pytestmark = pytest.mark.usefixtures("prometheus_can_run")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_configuration_and_rules_are_sound() -> None:
    done = promtool("check", "config", ROOT / "observability" / "prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert "rules found" in done.stdout


def test_each_alert_fires_where_it_should_and_is_silent_where_it_should_not() -> None:
    done = promtool("test", "rules", ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("retrainer_ledger_up{", "retrainer_ledger_down{"),
        ("max by (job, limit)", "max by (job)"),
        (" > 604800", " > 6048000"),
        ("for: 5m", "for: 50m"),
        ("or retrainer_lag_events", "or retrainer_lag"),
    ],
)
def test_a_rule_that_is_wrong_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    """So that the tests of the alerts test something."""
    text = RULES.read_text()
    assert right in text
    (tmp_path / "rules.yml").write_text(text.replace(right, wrong))
    (tmp_path / "alerts.yml").write_text(
        ALERTS.read_text().replace("../../observability/rules/retrainer.yml", "rules.yml")
    )
    assert promtool("test", "rules", tmp_path / "alerts.yml").returncode == 1
