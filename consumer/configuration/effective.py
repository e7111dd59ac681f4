"""Every setting with the value that counts and where that value comes from. Secrets are never told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from consumer.configuration.environment import from_environment
from consumer.configuration.names import PREFIX, Known, Where, variable
from consumer.configuration.toml import from_file
from consumer.database.address import shown
from consumer.masking import HIDDEN, masked
from schemas.times.durations import duration


class Source(StrEnum):
    """Where a value comes from."""

    ENVIRONMENT = "environment"
    VALUE_FILE = "file of a variable"
    """The file that `RETRAINER_X_FILE` names."""
    FILE = "TOML file"
    DEFAULT = "default"
    """Also what follows from other settings: a path in the state folder, the stores of a named cluster."""


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting as it counts."""

    name: str
    """As in the environment."""
    value: Any
    """As JSON has it; a secret is `***`."""
    source: Source
    is_duration: bool = False
    """Whether the value is a number of seconds."""

    @property
    def written(self) -> str:
        """The value as a person writes it."""
        if self.value is None:
            return "none"
        if self.is_duration:
            return duration(self.value)
        if isinstance(self.value, list) and all(isinstance(one, str) for one in self.value):
            return ",".join(self.value)
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)


def effective(
    settings: BaseModel, known: Known, environment: Mapping[str, str], config: Path | None
) -> Iterator[Effective]:
    """Every setting that counts, in the order of the models. A section that is not used has none.

    Args:
        settings: as they were loaded from `environment` and `config`.
        known: the names of all settings.
        environment: variables by name.
        config: the TOML file; None for none.

    Raises:
        SettingsError: the file or the environment cannot be read any more.
    """
    by_variable = from_environment(environment, known)
    by_file = from_file(config, known) if config is not None else {}
    variables = {name.upper() for name, value in environment.items() if value.strip()}
    for where, setting in known.settings.items():
        found, value = _value(settings, where)
        if not found:
            continue
        name = variable(where)
        if _has(by_variable, where):
            source = Source.VALUE_FILE if f"{name}_FILE" in variables else Source.ENVIRONMENT
        else:
            source = Source.FILE if _has(by_file, where) else Source.DEFAULT
        yield Effective(name, _told(value, is_secret=setting.is_secret), source, setting.is_duration)


def section_of(name: str) -> str:
    """What a person may call the settings of a section by: `kafka` of `RETRAINER_KAFKA__TOPIC`; empty without one."""
    section, _, inside = name.removeprefix(PREFIX).partition("__")
    return section.lower() if inside else ""


def _value(settings: BaseModel, where: Where) -> tuple[bool, Any]:
    """Whether the settings have a value of that name, and the value."""
    inside: Any = settings
    for part in where:
        if not isinstance(inside, BaseModel) or part not in type(inside).model_fields:
            return False, None
        inside = getattr(inside, part)
    return True, inside


def _has(found: Mapping[str, Any], where: Where) -> bool:
    inside: Any = found
    for part in where:
        if not isinstance(inside, Mapping) or part not in inside:
            return False
        inside = inside[part]
    return True


def _told(value: Any, *, is_secret: bool) -> Any:
    if value is None:
        return None
    if is_secret or isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, str) and "://" in value:
        return _address(value)
    return to_jsonable_python(value)


def _address(value: str) -> str:
    """An address without its password: a database's by its own rules, any other by those of the web."""
    try:
        return shown(value) if make_url(value).get_backend_name() in {"sqlite", "postgresql"} else masked(value)
    except (ArgumentError, ValueError):
        return masked(value)
