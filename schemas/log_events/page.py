"""docs/log-events.md, written from the registry.

python -m schemas.log_events.page            writes docs/log-events.md
python -m schemas.log_events.page --check    exit code 1 when docs/log-events.md is not what the registry says
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.log_events.event import EVERY_LINE, LogEvent
from schemas.log_events.facts import STEP_FACTS
from schemas.log_events.registry import BY_ROOM

PAGE = Path(__file__).parents[2] / "docs" / "log-events.md"

_HEAD = """# The events of the log

<!-- Written by `make schemas` from schemas/log_events; do not edit. -->

`retrainer run` and `retrainer bridge` write one event a line to standard error: for people on a terminal, as JSON
elsewhere (`RETRAINER_LOG__FORMAT`). This page lists every event of ours by its sentence, which is the field `event` of
a line. A test holds that we log nothing else, and that the code logs every event of this page. Names in capitals are
constants in [`schemas/log_events/`](../schemas/log_events/__init__.py), by which programs in Python know an event.

Warnings of libraries come in the same form, with sentences of their own. Those of Kafka's client are shown with
`RETRAINER_LOG__LEVEL=debug` only.

Every line has:

"""
_TITLES = {
    "schemas.log_events.service": "The service, its ledger and its lease",
    "schemas.log_events.cycles": "Cycles",
    "schemas.log_events.model_events": "Model events",
    "schemas.log_events.notifications": "Notifications",
    "schemas.log_events.promotions": "The champion, as the registry shows it",
    "schemas.log_events.listener": "The listener, and dead letters",
    "schemas.log_events.deployment": "What is served",
    "schemas.log_events.http": "Page and API",
    "schemas.log_events.tracing": "Traces",
    "schemas.log_events.bridge": "The bridge, and the demo's simulator",
}
_FACTS = """## The facts of the steps

What the trainer has found in a step is in the field `facts` of the event `step`: an object. A fact without a value is
left out.

"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, *_fields(EVERY_LINE), "\n"]
    for room, events in BY_ROOM.items():
        parts += [f"## {_TITLES[room]}\n\n", *(part for name, event in events.items() for part in _entry(name, event))]
    return "".join([*parts, _FACTS, *_steps()]).rstrip("\n") + "\n"


def _entry(name: str, event: LogEvent) -> Iterator[str]:
    yield f"### {event}\n\n`{name}`, {' or '.join(event.levels)}. {event.meaning}\n\n"
    yield from _fields(event.fields)
    if event.fields:
        yield "\n"


def _fields(fields: Mapping[str, str]) -> Iterator[str]:
    for name, meaning in fields.items():
        yield f"- `{name}`: {meaning}\n"


def _steps() -> Iterator[str]:
    for step, facts in STEP_FACTS.items():
        yield f"### {step}\n\n"
        yield from _fields(facts.own)
        if facts.report is not None:
            names = ", ".join(f"`{name}`" for name in facts.report.model_fields)
            yield f"- at the end what `{facts.report.__name__}` has: {names}\n"
        yield "\n"


def main() -> int:
    """Write the page, or check it; returns the exit code."""
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != page():
            print("docs/log-events.md is not current: run `make schemas`")
            return 1
        return 0
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
