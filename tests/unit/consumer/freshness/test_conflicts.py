"""Settings with which a promise cannot always be kept are told, each with the way out; others are not."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.configuration.slo import SloSettings
from consumer.freshness.conflicts import conflicts
from schemas.policies import TriggerPolicy


def told(slo: dict[str, Any], policy: dict[str, Any], expected: float | None = None) -> list[str]:
    return [one.partition(": ")[2] for one in conflicts(SloSettings(**slo), TriggerPolicy(**policy), expected)]


def test_settings_that_go_together_are_not_told() -> None:
    assert told({}, {}) == told({}, {"quiet_hours": ("22:00-06:00",), "training_minutes_a_day": 60}, 240.0) == []
    assert told({"freshness": "30m"}, {}, 240.0) == []
    night = {"quiet_hours": ("22:00-06:00",), "training_minutes_a_day": 60}
    assert told({"freshness": "9h"}, night, 240.0) == []
    assert told({"freshness": "1h", "outranks_quiet_hours": True}, {"quiet_hours": ("22:00-06:00",)}, 240.0) == []


@pytest.mark.parametrize(
    ("slo", "policy", "expected", "way_out"),
    [
        ({"freshness": "2m"}, {}, None, "MIN_INTERVAL"),
        ({"freshness": "10m"}, {}, 200.0, "MIN_INTERVAL"),
        ({"freshness": "30m"}, {}, 1800.0, "RETRAINER_SLO__FRESHNESS"),
        ({"freshness": "8h"}, {"quiet_hours": ("22:00-02:00", "02:00-06:00")}, 1.0, "QUIET_HOURS"),
        ({}, {"training_minutes_a_day": 3}, 240.0, "TRAINING_MINUTES_A_DAY"),
        ({"freshness": "1h"}, {"training_minutes_a_day": 90}, 240.0, "TRAINING_MINUTES_A_DAY"),
    ],
)
def test_settings_that_break_a_promise_are_told_with_the_way_out(
    slo: dict[str, Any], policy: dict[str, Any], expected: float | None, way_out: str
) -> None:
    (one,) = told(slo, policy, expected)
    assert way_out in one


def test_a_budget_is_compared_only_once_a_cycle_has_told_what_it_takes() -> None:
    assert told({"freshness": "1h"}, {"training_minutes_a_day": 1}) == []
