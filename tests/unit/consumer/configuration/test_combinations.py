"""Settings that nothing good can come of are refused at the start."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from consumer.configuration.names import known_of, variable
from consumer.errors import SettingsError
from consumer.settings import Settings, load_settings

KNOWN = known_of(Settings)
NUMBERS = [where for where, setting in KNOWN.settings.items() if float in setting.types]


@pytest.mark.parametrize("figure", ["inf", "-inf", "nan", "Infinity"])
@pytest.mark.parametrize("where", NUMBERS, ids=variable)
def test_no_figure_is_infinite(monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], figure: str) -> None:
    for name, value in {"RETRAINER_HOPSWORKS__HOST": "h", "RETRAINER_HOPSWORKS__PROJECT": "p"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(variable(where), figure)
    with pytest.raises(SettingsError, match=f"{variable(where)}: "):
        load_settings()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"SPLIT__HOLDOUT_SHARE": "0"}, "RETRAINER_SPLIT__HOLDOUT_SHARE: .*greater than 0"),
        ({"SPLIT__HOLDOUT_SHARE": "0.6", "SPLIT__DEV_SHARE": "0.4"}, "RETRAINER_SPLIT: .*must leave users to train"),
        ({"GATE__MIN_USERS": "2000", "GATE__MAX_USERS": "1000"}, "RETRAINER_GATE: .*no more than max_users"),
        ({"TRIGGER__MAX_STALENESS": "1e10"}, "RETRAINER_TRIGGER__MAX_STALENESS: .*less than or equal"),
        (
            {"TRIGGER__MAX_STALENESS": "soon"},
            r"RETRAINER_TRIGGER__MAX_STALENESS: should be seconds, or a duration such as 90s, 30m, 1\.5h, 1h30m or 1d "
            r"\(got 'soon'\); as in RETRAINER_TRIGGER__MAX_STALENESS=1h",
        ),
        ({"SLO__FRESHNESS": "0s"}, r"RETRAINER_SLO__FRESHNESS: .*greater than 0 .*; as in .*=30m"),
        ({"TRIGGER__QUIET_HOURS": "22-6"}, "RETRAINER_TRIGGER__QUIET_HOURS: '22-6' should be two times of the day"),
        ({"TRIGGER__QUIET_HOURS_ZONE": "Mars"}, "RETRAINER_TRIGGER__QUIET_HOURS_ZONE: there is no time zone 'Mars'"),
        ({"TRAINER__STOP_GRACE": "1e300"}, "RETRAINER_TRAINER__STOP_GRACE: .*less than or equal"),
        ({"HEALTH__MAX_AGE": "0.5"}, "RETRAINER_HEALTH__MAX_AGE: .*greater than or equal to 3"),
        ({"KAFKA__SESSION_TIMEOUT_MS": "3000000000"}, "RETRAINER_KAFKA__SESSION_TIMEOUT_MS: .*less than"),
        ({"KAFKA__TOPIC": "a b"}, "RETRAINER_KAFKA__TOPIC: a topic has a name of letters"),
        ({"KAFKA__TOPIC": ".."}, "RETRAINER_KAFKA__TOPIC: a topic has"),
        ({"KAFKA__TOPIC": "t" * 250}, "RETRAINER_KAFKA__TOPIC: a topic has"),
        ({"KAFKA__LABEL_TOPIC": "folgt/wem"}, "RETRAINER_KAFKA__LABEL_TOPIC: a topic has"),
        ({"DEAD_LETTERS__TOPIC": "größe"}, "RETRAINER_DEAD_LETTERS__TOPIC: a topic has"),
        ({"LEDGER__URL": "sqlite://"}, "RETRAINER_LEDGER__URL: a ledger in memory"),
        ({"LEDGER__URL": "sqlite:///"}, "RETRAINER_LEDGER__URL: a ledger in memory"),
        ({"LEDGER__URL": "sqlite:///:memory:"}, "RETRAINER_LEDGER__URL: a ledger in memory"),
        ({"LEDGER__URL": "sqlite:///file::memory:?uri=true"}, "RETRAINER_LEDGER__URL: a ledger in memory"),
        ({"LEDGER__URL": "sqlite:///file:x?mode=memory&uri=true"}, "RETRAINER_LEDGER__URL: a ledger in memory"),
        ({"LEDGER__URL": "sqlite:///file:/x?vfs=memdb&uri=true"}, "RETRAINER_LEDGER__URL: a ledger in memory"),
        ({"LEDGER__URL": "sqlite://ledger.db"}, "RETRAINER_LEDGER__URL: .*three slashes"),
        ({"LEDGER__URL": "postgresql://u@h:port/d"}, "RETRAINER_LEDGER__URL: is no address"),
        ({"FEATURE_GROUP__COLUMNS": '[{"name": "genre/embedding", "length": 8}]'}, r"COLUMNS: \[0\].name: .*no slash"),
        ({"FEATURE_GROUP__COLUMNS": '[{"name": "a\\nb", "length": 8}]'}, r"COLUMNS: \[0\].name: .*no control"),
    ],
)
def test_what_nothing_good_can_come_of_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], message: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"RETRAINER_{name}", value)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_all_contradictions_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__SOURCE", "ingestion")
    monkeypatch.setenv("RETRAINER_DEAD_LETTERS__TOPIC", "spotify_user_embeddings_changes")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 2


def test_a_number_is_never_taken_from_a_model_that_allows_infinity() -> None:
    """So that a new section cannot forget it."""

    def models(model: type[BaseModel]) -> set[type[BaseModel]]:
        found = {model}
        for field in model.model_fields.values():
            for inner in [field.annotation, *getattr(field.annotation, "__args__", ())]:
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    found |= models(inner)
        return found

    with_numbers = [
        one for one in models(Settings) if any("float" in str(f.annotation) for f in one.model_fields.values())
    ]
    assert with_numbers
    assert all(one.model_config.get("allow_inf_nan") is False for one in with_numbers)
