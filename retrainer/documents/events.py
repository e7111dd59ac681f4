"""docs/events.md, written from the schemas, their golden examples, and what becomes of those.

python -m retrainer.documents.events            writes docs/events.md
python -m retrainer.documents.events --check    exit code 1 when docs/events.md is not what the schemas are
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel

import schemas
from retrainer.documents.page import cell, write_or_check
from retrainer.reference import meanings
from schemas.compatibility import CompatibilityReport
from schemas.cycle import Metrics, Outcome
from schemas.events import Change, NotificationEvent, decode
from schemas.features import FeatureGroup
from schemas.keys import BadEvent
from schemas.labels import LabelGroup, pair_of
from schemas.model_events import ModelEvent, ModelEventData, ModelEventFacts, ModelEventType, ModelFiles

GOLDEN = Path(schemas.__file__).parent / "golden"
USERS = FeatureGroup(id=13, feature_store_id=67)
LABELS = LabelGroup(id=15, feature_store_id=67)
TITLES = {
    "newer_shape.json": "The newer shape of Hopsworks, with names",
    "older_shape.json": "The older shape, with ids alone",
    "string_numbers.json": "Numbers may come as texts",
    "unknown_fields.json": "Fields that are not known are ignored, and a whole row may ride along",
    "label.json": "A label: two users",
    "older_label.json": "A label in the older shape",
    "another_group.json": "Another feature group on the same topic",
    "missing_entry.json": "No row",
    "missing_key.json": "No user in it",
    "another_shape.json": "JSON, but no object",
    "cut_off.txt": "Cut off",
}
"""What each golden example of a change event shows, in the order of the page."""

_NULL = re.compile(r"([.;] )none (where|before|without|for)")  # a value that is missing, as people write it
_TYPES = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", AwareDatetime: "ISO 8601 time"}
_HEAD = """# Events

<!-- Written by `make schemas` from schemas/; do not edit. -->

Retrainer reads **change events**, which say that a row was written or deleted, and sends **model events**, which
say what
happened to a version. Both are JSON, and their [JSON Schemas](../schemas/json) lie in the repository:
[`notification_event.json`](../schemas/json/notification_event.json) and
[`model_event.json`](../schemas/json/model_event.json).

## Change events

They come from `RETRAINER_KAFKA__TOPIC`, and those of labels from there or from `RETRAINER_KAFKA__LABEL_TOPIC`. An
event is a
signal: only the primary key of its row is read, and the row itself is read from the feature store. So neither the
order of
events of one user nor a repetition does harm.

"""
_DELETES = """
Ids decide where the event and the settings have them, else names do. What is missing on one side speaks for nobody.

A delete has the header `operation: delete`, or no value (a tombstone); then the key of the record names the user,
as the id
and nothing else, or the label, as a JSON array of its two users. `RETRAINER_KAFKA__SOURCE=ingestion` reads the
ingestion
topic of a Hopsworks project instead: there the header `featureGroupId` names the group, and the key of the record
the user.

### Examples, and what becomes of each

A record is a change, or ignored with the reason, or a [dead letter](dead-letters.md) with the reason. These
examples are the
golden ones of the tests, read for the group 13 of users and the group 15 of labels, in the feature store 67.

"""
_MODEL_EVENTS = """## Model events

They are [CloudEvents](https://cloudevents.io) 1.0 in JSON, in structured mode, and go to the topic
`RETRAINER_MODEL_EVENTS__TOPIC` and to the webhook `RETRAINER_MODEL_EVENTS__WEBHOOK`, at least once.
[Serving](serving.md#model-events) tells how to follow the champion by them, and how a webhook is signed.

| `type` | when |
|---|---|
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, *_fields(NotificationEvent, meanings(NotificationEvent)), _DELETES, *_examples(), _MODEL_EVENTS]
    said = _of_members(ModelEventType)
    parts += [f"| `{one.value}` | {cell(said[one.name])} |\n" for one in ModelEventType]
    data = {**meanings(ModelEventFacts), **meanings(ModelEventData)}
    tables: dict[str, tuple[type[BaseModel], dict[str, str]]] = {
        "Envelope": (ModelEvent, meanings(ModelEvent)),
        "`data`": (ModelEventData, data),
        "`data.files`": (ModelFiles, meanings(ModelFiles)),
        "`data.compatibility`": (CompatibilityReport, meanings(CompatibilityReport)),
        "`data.figures` and `data.champion_figures`": (Metrics, meanings(Metrics)),
    }
    for title, (model, fields) in tables.items():
        parts += [f"\n### {title}\n\n", *_fields(model, fields)]
    golden = json.dumps(json.loads((GOLDEN / "model_event.json").read_text()), indent=2)
    parts.append(f"\n### An example\n\n```json\n{golden}\n```\n")
    return "".join(parts)


def became(value: bytes, group: FeatureGroup | LabelGroup) -> str:
    """What a record with this value says about the group, in words."""
    try:
        found = decode(group, None, value, {})
    except BadEvent as error:
        return f"A dead letter: {error}."
    if not isinstance(found, Change):
        return f"Ignored: {found.reason}."
    if isinstance(group, LabelGroup):
        user, other = pair_of(found.key)
        return f"The label of the users `{user}` and `{other}` may have changed."
    return f"User `{found.key}` may have changed."


def _examples() -> Iterator[str]:
    there = {path.name for path in (GOLDEN / "events").iterdir()}
    if there != set(TITLES):
        raise ValueError(f"TITLES does not name the golden events: {sorted(there ^ set(TITLES))}")
    for name, title in TITLES.items():
        value = (GOLDEN / "events" / name).read_bytes()
        yield f"{title}:\n\n```json\n{value.decode().strip()}\n```\n\n"
        yield f"{became(value, LABELS if 'label' in name else USERS)}\n\n"


def _fields(model: type[BaseModel], said: dict[str, str]) -> Iterator[str]:
    yield "| field | holds | |\n|---|---|---|\n"
    for name, field in model.model_fields.items():
        meaning = _NULL.sub(lambda found: f"{found[1]}null {found[2]}", said[name])
        yield f"| `{field.alias or name}` | {cell(_kind(field.annotation))} | {cell(meaning)} |\n"


def _kind(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return " or ".join(_kind(one) for one in inside)
    if annotation is type(None):
        return "null"
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inside)
    if isinstance(annotation, type) and issubclass(annotation, Outcome):
        return "how a cycle ends: " + ", ".join(f"`{one.value}`" for one in annotation if one is not Outcome.PROBED)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "one of those above"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "object"
    return _TYPES[annotation]


def _of_members(kind: type[Enum]) -> dict[str, str]:
    """What the docstring below each member says."""
    (of_class,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(of_class, ast.ClassDef)
    found = {}
    for member, said in zip(of_class.body, of_class.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name) and isinstance(said, ast.Expr):
            assert isinstance(said.value, ast.Constant)
            found[member.targets[0].id] = str(said.value.value)
    return found


def main(arguments: list[str]) -> int:
    """Write the page, or check it; the exit code."""
    return write_or_check("events.md", page, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
