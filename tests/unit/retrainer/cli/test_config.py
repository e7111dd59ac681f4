"""`retrainer config` says of each setting when a change of it takes effect."""

from __future__ import annotations

import json

from consumer.configuration.names import known_of
from consumer.configuration.taking_effect import _BY_SECTION, takes_effect
from consumer.settings import Settings
from tests.commands import call


def test_each_setting_says_when_it_takes_effect() -> None:
    done = call("config", "health", "trigger", "bridge", "--json")
    assert done.code == 0
    told = {one["setting"]: one["takes_effect"] for one in json.loads(done.out)}
    assert told["RETRAINER_TRIGGER__CHANGED_USERS"] == "next start"
    assert told["RETRAINER_HEALTH__MAX_AGE"] == "next health check"
    assert told["RETRAINER_BRIDGE__CHUNK"] == "next start of the bridge"
    assert takes_effect("") == "next start"


def test_people_read_it_beside_the_value_and_what_changes_a_service_that_runs() -> None:
    done = call("config", "health")
    assert "takes effect" in done.out.splitlines()[0]
    assert "next health check" in done.out
    assert "a restart loses nothing" in done.out
    assert "`pause`" in done.out


def test_no_section_is_named_that_there_is_not() -> None:
    assert {(name,) for name in _BY_SECTION} <= set(known_of(Settings).sections)
