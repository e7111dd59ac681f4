"""The reference of settings: complete, current, and with a meaning for each setting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from consumer.configuration.names import known_of, variable
from consumer.settings import Settings
from retrainer import reference


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        yield from reference.models_of(field.annotation)


def test_the_page_is_current() -> None:
    assert reference.main(["--check"]) == 0, "docs/settings.md is not what the settings are; `make schemas` writes it"


def test_every_setting_is_listed() -> None:
    written = reference.reference(Settings)
    assert [variable(where) for where in known_of(Settings).settings if f"| `{variable(where)}` |" not in written] == []


def test_every_setting_has_a_meaning() -> None:
    for model in models(Settings):
        said = reference.meanings(model)
        settings = [name for name, field in model.model_fields.items() if not reference.models_of(field.annotation)]
        assert [name for name in settings if not said.get(name)] == [], f"{model.__name__} says nothing of these"


@pytest.mark.parametrize(
    ("name", "default", "takes"),
    [
        ("RETRAINER_KAFKA__SESSION_TIMEOUT_MS", "`45000`", "whole number of milliseconds, at least 1000"),
        ("RETRAINER_LEASE__PATIENCE", "`15s`", "duration, at least 1s"),
        ("RETRAINER_TRIGGER__MAX_STALENESS", "`1h`", "duration, at least 0s"),
        ("RETRAINER_TRIGGER__TRAINING_MINUTES_A_DAY", "none", "number of minutes, above 0, at most 1440 or none"),
        ("RETRAINER_TRIGGER__QUIET_HOURS", "none", "texts, by commas"),
        ("RETRAINER_SLO__FRESHNESS", "none", "duration, above 0s or none"),
        ("RETRAINER_SPLIT__HOLDOUT_SHARE", "`0.15`", "number, above 0, at most 1"),
        ("RETRAINER_PAIRS__MAX_POSITIVES_PER_USER", "`50`", "whole number, at least 1 or none"),
        ("RETRAINER_KAFKA__SASL_PASSWORD", "none", "secret text or none"),
        ("RETRAINER_FIT__OBJECTIVE", "`similarity`", "`similarity`, `outcomes`, `both`"),
        ("RETRAINER_FEATURE_GROUP__COLUMNS", '`[{"name": "genre_embedding", "length": 100}', "JSON list"),
        ("RETRAINER_LEDGER__URL", "", "text"),
    ],
)
def test_a_row_says_default_type_unit_and_limits(name: str, default: str, takes: str) -> None:
    (row,) = [line for line in reference.reference(Settings).splitlines() if line.startswith(f"| `{name}` |")]
    _, _, said_default, said_takes, meaning, _ = row.split("|")
    assert said_default.strip().startswith(default)
    assert said_takes.strip() == takes
    assert meaning.strip()


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="reference: begin"):
        reference.page("# Settings\n")


def test_what_the_page_says_beside_the_reference_stays() -> None:
    text = f"before\n{reference.BEGIN}\nold\n{reference.END}\nafter\n"
    written = reference.page(text)
    assert written.startswith(f"before\n{reference.BEGIN}\n")
    assert written.endswith(f"{reference.END}\nafter\n")
    assert "old\n" not in written
