"""The reference of all settings in docs/settings.md, written from the models that hold them.

`python -m retrainer.reference` writes the reference between the two marks of the page; with `--check` it writes
nothing, and fails with exit code 1 where the page is not current.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from operator import itemgetter
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from consumer.configuration.names import variable
from consumer.settings import Settings
from schemas.times.durations import duration
from schemas.units import SECONDS, Unit

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"

_HEAD = "| setting | default | what it takes | meaning |\n|---|---|---|---|"
_KINDS = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text", Path: "path"}
_HUGE = 10**9  # a limit that only keeps a timer from overflowing tells a reader nothing


def page(text: str) -> str:
    """The page with the reference of today between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/settings.md needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference(Settings)}\n\n{END}{after}"


def reference(settings: type[BaseModel]) -> str:
    """A table of the settings that stand first, then one for each section, in the order of the model."""
    loose = [name for name, field in settings.model_fields.items() if not models_of(field.annotation)]
    tables = ["### For all sections\n", _table(settings, (), loose)]
    for name, field in settings.model_fields.items():
        if models := models_of(field.annotation):
            own = meanings(settings).get(name)
            tables.append(f"### `{name}`\n")
            if own is not None:
                tables.append(f"{own}\n")
            for model in models:
                tables += [f"{_paragraph(model)}\n", _table(model, (name,), list(model.model_fields))]
    return "\n".join(tables).replace("|\n###", "|\n\n###").rstrip()


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the model says of each of its fields in the docstring below it, on one line."""
    (of_class,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(of_class, ast.ClassDef)
    found = {}
    for field, said in zip(of_class.body, of_class.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(said, ast.Expr):
            assert isinstance(said.value, ast.Constant)
            found[field.target.id] = _plain(str(said.value.value))
    return found


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The kinds of a section; none where the annotation is that of a setting."""
    if get_origin(annotation) is Annotated:
        return models_of(get_args(annotation)[0])
    found = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return [one for one in found if isinstance(one, type) and issubclass(one, BaseModel)]


def _table(model: type[BaseModel], section: tuple[str, ...], names: list[str]) -> str:
    said = meanings(model)
    rows = [_HEAD]
    for name in names:
        field = model.model_fields[name]
        cells = (f"`{variable((*section, name))}`", _default(field), _takes(field), said.get(name, ""))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return f"`{','.join(value)}`" if value else "none"
    if isinstance(value, dict | list | tuple):
        return f"`{json.dumps(to_jsonable_python(value))}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{duration(value) if _is_duration(field) else f'{value:g}'}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _is_duration(field: FieldInfo) -> bool:
    return any(said.startswith("duration") for said in _kinds(field.annotation, field.metadata))


def _takes(field: FieldInfo) -> str:
    return " or ".join(_kinds(field.annotation, field.metadata))


def _kinds(annotation: Any, limits: list[Any]) -> Iterator[str]:
    """What each type of the annotation allows, in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _kinds(inside[0], [*limits, *(one for given in inside[1:] for one in _limits(given))])
    elif origin in {Union, UnionType}:
        for one in inside:
            yield from _kinds(one, limits)
    elif annotation is type(None):
        yield "none"
    elif origin is Literal:
        yield ", ".join(f"`{one}`" for one in inside)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield ", ".join(f"`{one.value}`" for one in annotation)
    elif annotation is SecretStr:
        yield "secret text"
    elif origin in {list, tuple}:
        yield "texts, by commas" if _of_texts(inside[0]) else "JSON list"
    elif origin is dict:
        yield "JSON object"
    elif SECONDS in limits:
        yield "duration" + _bounds([one for one in limits if one != SECONDS], duration)
    else:
        yield _KINDS[annotation] + _bounds(limits)


def _of_texts(annotation: Any) -> bool:
    return annotation is str or (get_origin(annotation) is Annotated and get_args(annotation)[0] is str)


def _limits(given: Any) -> list[Any]:
    return list(given.metadata) if isinstance(given, FieldInfo) else [given]


def _bounds(limits: list[Any], written: Callable[[float], str] = "{:g}".format) -> str:
    """The unit, and the tightest of the bounds on either side, each as `written` gives it."""
    units = [f" of {one.name}" for one in limits if isinstance(one, Unit)]
    lower: list[tuple[Any, str]] = [(one.gt, "above") for one in limits if isinstance(one, Gt)]
    lower += [(one.ge, "at least") for one in limits if isinstance(one, Ge)]
    upper: list[tuple[Any, str]] = [(one.lt, "below") for one in limits if isinstance(one, Lt)]
    upper += [(one.le, "at most") for one in limits if isinstance(one, Le)]
    tightest = [max(lower, key=itemgetter(0))] if lower else []
    tightest += [one for one in sorted(upper, key=itemgetter(0))[:1] if one[0] < _HUGE]
    return "".join(units) + "".join(f", {words} {written(bound)}" for bound, words in tightest)


def _paragraph(model: type[BaseModel]) -> str:
    """What the model says of itself, on one line."""
    return _plain(model.__doc__ or "")


def _plain(said: str) -> str:
    """The text on one line; a page of settings writes Python's None as people write it."""
    return re.sub(r"\bNone\b", "none", " ".join(said.split()))


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it; the exit code."""
    text = PAGE.read_text()
    current = page(text)
    if arguments == ["--check"]:
        if text != current:
            sys.stderr.write("docs/settings.md is not what the settings are; `make schemas` writes it\n")
        return int(text != current)
    PAGE.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
