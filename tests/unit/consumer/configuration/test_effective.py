"""Which settings count, and where each comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consumer.configuration.effective import Effective, Source, effective, section_of
from consumer.configuration.names import known_of
from consumer.settings import Settings, load_settings


def found(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], config: Path | None) -> dict[str, Effective]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(config)
    return {one.name: one for one in effective(settings, known_of(Settings), environment, config)}


def test_each_setting_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, secret = tmp_path / "r.toml", tmp_path / "password"
    config.write_text("[kafka]\ntopic = 'of-the-file'\ngroup_id = 'of-the-file'\n")
    secret.write_text("s3cret")
    environment = {
        "RETRAINER_KAFKA__TOPIC": "of-the-environment",
        "RETRAINER_LEDGER__URL": "postgresql://me@host/ledger",
        "RETRAINER_LEDGER__PASSWORD_FILE": str(secret),
    }
    by_name = found(monkeypatch, environment, config)
    told = {name: (one.value, one.source) for name, one in by_name.items()}
    assert told["RETRAINER_KAFKA__TOPIC"] == ("of-the-environment", Source.ENVIRONMENT)
    assert told["RETRAINER_KAFKA__GROUP_ID"] == ("of-the-file", Source.FILE)
    assert told["RETRAINER_KAFKA__START"] == ("earliest", Source.DEFAULT)
    assert told["RETRAINER_LEDGER__PASSWORD"] == ("***", Source.VALUE_FILE)
    assert told["RETRAINER_LEDGER__URL"] == ("postgresql://me:***@host/ledger", Source.ENVIRONMENT)
    assert "s3cret" not in json.dumps([one.value for one in by_name.values()])


def test_values_are_written_as_the_environment_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = found(monkeypatch, {"RETRAINER_KAFKA__BOOTSTRAP_SERVERS": "a:1,b:2"}, None)
    assert by_name["RETRAINER_KAFKA__BOOTSTRAP_SERVERS"].written == "a:1,b:2"
    assert by_name["RETRAINER_SCHEDULE__FULL_RETRAIN"].written == "none"
    assert by_name["RETRAINER_TRAINER__WARM"].written == "true"
    assert json.loads(by_name["RETRAINER_FEATURE_GROUP__COLUMNS"].written)[0]["name"] == "genre_embedding"


def test_a_section_that_is_not_used_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = found(monkeypatch, {}, None)
    assert not [name for name in by_name if section_of(name) in {"hopsworks", "labels"}]
    assert section_of("RETRAINER_STATE_DIR") == ""


def test_every_setting_of_a_used_section_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = found(monkeypatch, {}, None)
    trigger = {f"RETRAINER_TRIGGER__{name.upper()}" for name in type(load_settings().trigger).model_fields}
    assert trigger <= set(by_name)


def test_durations_are_listed_as_people_write_them_and_are_numbers_for_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "r.toml"
    config.write_text("[trigger]\nmin_interval = '2m'\nquiet_period = 90\n[slo]\nfreshness = 1800\n")
    environment = {"RETRAINER_TRIGGER__MAX_STALENESS": "1h30m", "RETRAINER_HEALTH__MAX_AGE": "45"}
    by_name = found(monkeypatch, environment, config)
    told = {
        name.removeprefix("RETRAINER_"): (one.written, one.value) for name, one in by_name.items() if one.is_duration
    }
    assert told["TRIGGER__MAX_STALENESS"] == ("1h30m", 5400.0)
    assert told["TRIGGER__MIN_INTERVAL"] == ("2m", 120.0)
    assert told["TRIGGER__QUIET_PERIOD"] == ("1m30s", 90.0)
    assert told["SLO__FRESHNESS"] == ("30m", 1800.0)
    assert told["HEALTH__MAX_AGE"] == ("45s", 45.0)
    assert told["TRAINER__TIMEOUT"] == ("1h", 3600.0)
