"""The names of all settings, told from the models that hold them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from schemas.times.durations import duration
from schemas.units import SECONDS

PREFIX = "RETRAINER_"
Where = tuple[str, ...]
"""A setting or a section by its names, as in ("kafka", "topic")."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it may be, and an example of how it is written."""

    types: frozenset[Any]
    optional: bool
    """Whether it may be None."""
    is_list: bool
    """Whether it holds lists of texts, which commas separate."""
    as_json: bool
    """Whether it is written as JSON."""
    example: str | None
    is_duration: bool = False
    """Whether it is a number of seconds, which people write as `1h30m`."""

    @property
    def is_secret(self) -> bool:
        """Whether it must not be shown, and is taken to the letter."""
        return SecretStr in self.types

    @property
    def is_path(self) -> bool:
        """Whether it names a file or a folder."""
        return Path in self.types


@dataclass(frozen=True, slots=True)
class Known:
    """Every setting and every section there is."""

    settings: Mapping[Where, Setting]
    sections: Mapping[Where, bool]
    """Of each section whether it may be None."""

    def setting_of(self, where: Where) -> Setting | None:
        """The setting of that name, or the mapping of which it names an entry."""
        if (setting := self.settings.get(where)) is not None:
            return setting
        mapping = self.settings.get(where[:-1])
        return mapping if mapping is not None and mapping.as_json else None

    def near_the_top(self, name: str) -> bool:
        """Whether a name is nearly one of those that stand first."""
        return bool(get_close_matches(name, {first for first, *_ in (*self.settings, *self.sections)}, cutoff=0.8))

    def near(self, where: Where) -> str | None:
        """The variable that is most likely meant by a name that there is not."""
        flat = {"_".join(known): known for known in (*self.settings, *self.sections)}
        found = get_close_matches("_".join(where), flat, n=1, cutoff=0.8)
        return variable(flat[found[0]]) if found else None


def variable(where: Where) -> str:
    """A setting as it is named in the environment."""
    return PREFIX + "__".join(where).upper()


@cache
def known_of(model: type[BaseModel]) -> Known:
    """All that `model` and the models inside of it name."""
    settings: dict[Where, Setting] = {}
    sections: dict[Where, bool] = {}
    for where, field in _fields(model, ()):
        types = frozenset(_types(field.annotation))
        if _models(types):
            sections[where] = type(None) in types
        elif where in settings:  # two kinds of a section have it both
            settings[where] = _either(settings[where], _setting(field, types))
        else:
            settings[where] = _setting(field, types)
    return Known(settings, sections)


def _fields(model: type[BaseModel], within: Where) -> Iterator[tuple[Where, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield (*within, name), field
        for inner in _models(frozenset(_types(field.annotation))):
            yield from _fields(inner, (*within, name))


def _types(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows, each by itself."""
    if get_origin(annotation) is Annotated:
        yield from _types(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for one in get_args(annotation):
            yield from _types(one)
    else:
        yield annotation


def _models(types: frozenset[Any]) -> list[type[BaseModel]]:
    return sorted((one for one in types if isinstance(one, type) and issubclass(one, BaseModel)), key=str)


def _setting(field: FieldInfo, types: frozenset[Any]) -> Setting:
    origins = {get_origin(one) for one in types}
    is_list = any(get_origin(one) in {list, tuple} and set(_types(get_args(one)[0])) == {str} for one in types)
    as_json = not is_list and bool(origins & {list, tuple, dict})
    is_duration = SECONDS in [*_marks(field.annotation), *field.metadata]
    example = _example(field, is_duration=is_duration)
    return Setting(types, type(None) in types, is_list, as_json, example, is_duration)


def _either(one: Setting, other: Setting) -> Setting:
    return Setting(
        one.types | other.types,
        one.optional or other.optional,
        one.is_list or other.is_list,
        one.as_json or other.as_json,
        one.example or other.example,
        one.is_duration or other.is_duration,
    )


def _marks(annotation: Any) -> Iterator[Any]:
    """What the annotation says of its types beside what they are."""
    inside = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from inside[1:]
        yield from _marks(inside[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for one in inside:
            yield from _marks(one)


def _example(field: FieldInfo, *, is_duration: bool) -> str | None:
    """How a value is written: the example that the field gives, else its default."""
    value = field.examples[0] if field.examples else field.get_default(call_default_factory=True, validated_data={})
    if (field.is_required() and not field.examples) or value is None or isinstance(value, SecretStr):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value) and value:
        return ",".join(value)
    if is_duration and isinstance(value, int | float):
        return duration(value)
    if isinstance(value, tuple | dict):
        return json.dumps(_plain(value[:2] if isinstance(value, tuple) else value))
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
