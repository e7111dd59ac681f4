"""The events of the log are an interface: what is logged is registered, what is registered is logged."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest

from schemas.cycle import Step
from schemas.log_events.cycles import CYCLE_STEP
from schemas.log_events.event import LogEvent
from schemas.log_events.facts import STEP_FACTS
from schemas.log_events.page import PAGE, page
from schemas.log_events.registry import BY_ROOM, BY_SENTENCE
from tests.log_calls import ROOT, Logged, all_logged
from tests.log_lines import departures

RECORDED = ROOT / "tests" / "unit" / "retrainer" / "demo" / "service.jsonl"


@pytest.fixture(scope="module")
def logged() -> list[Logged]:
    return list(all_logged())


def test_every_call_logs_a_registered_event_at_its_level_with_its_fields(logged: list[Logged]) -> None:
    wrong = []
    for call in logged:
        if not call.levels <= set(call.event.levels):
            wrong.append(f"{call.where}: '{call.event}' at {sorted(call.levels)}, not {call.event.levels}")
        unknown = [name for name in call.fields if not any(re.fullmatch(name, field) for field in call.event.fields)]
        if unknown:
            wrong.append(f"{call.where}: '{call.event}' has no fields {sorted(unknown)}")
    assert not wrong, "\n".join(wrong)


def test_every_registered_event_is_logged_at_all_its_levels_with_all_its_fields(logged: list[Logged]) -> None:
    calls: dict[str, list[Logged]] = defaultdict(list)
    for call in logged:
        calls[call.event].append(call)
    wrong = []
    for sentence, event in BY_SENTENCE.items():
        levels = {level for call in calls[sentence] for level in call.levels}
        if missing := [level for level in event.levels if level not in levels]:
            wrong.append(f"nothing logs '{sentence}' as {missing}")
        patterns = {name for call in calls[sentence] for name in call.fields}
        if absent := [field for field in event.fields if not any(re.fullmatch(name, field) for name in patterns)]:
            wrong.append(f"nothing logs '{sentence}' with {absent}")
    assert not wrong, "\n".join(wrong)


def test_no_two_events_have_one_sentence_or_one_name() -> None:
    events = [(name, event) for room in BY_ROOM.values() for name, event in room.items()]
    assert len(events) == len(BY_SENTENCE) == len(dict(events))
    assert not any("\n" in event or event != event.strip() for _, event in events)


def test_an_event_is_its_sentence() -> None:
    event = LogEvent("all is well", "info", "A test.", users="how many")
    assert event == "all is well"
    assert {str(event): 1}[event] == 1
    assert event.levels == ("info",)
    assert event.fields == {"users": "how many"}


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make schemas`"


def test_a_line_is_held_to_what_its_event_says() -> None:
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    assert departures(lines) == []
    step = next(line for line in lines if line["event"] == CYCLE_STEP and line["step"] == "read")
    assert departures([{**step, "facts": {"people": 1}}]) == ["step read with the facts ['people']"]
    assert departures([{**step, "people": 1}]) == ["'step' with ['people']"]
    assert departures([{**step, "level": "error"}]) == ["'step' at error"]
    assert departures([{"event": "what a library says", "level": "error", "people": 1}]) == []


def test_no_test_compares_an_event_with_a_sentence() -> None:
    compared = re.compile(r"""\["event"\] (==|!=|in|not in) [\["({]""")
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "retrainer" / "demo").rglob("*.py")]
    found = [
        f"{path}:{at}"
        for path in files
        for at, line in enumerate(path.read_text().split("\n"), 1)
        if compared.search(line)
    ]
    assert found == [], "compare with a constant of schemas/log_events"


def test_the_trainer_reports_registered_facts() -> None:
    """Where a step collects facts by name; those of its reports are registered with the reports."""
    found: dict[Step, set[str]] = defaultdict(set)
    for path in (ROOT / "trainer").rglob("*.py"):
        for block in ast.walk(ast.parse(path.read_text())):
            if isinstance(block, ast.With) and (step := _step_of(block.items[0])) is not None:
                found[step] |= {name for node in block.body for name in _facts_in(node)}
    assert set(found) == set(Step)
    for step, names in found.items():
        unknown = {name for name in names if not any(re.fullmatch(name, fact) for fact in STEP_FACTS[step].names)}
        assert not unknown, f"step {step} reports {unknown}, which schemas/log_events/facts.py does not have"


def test_the_demo_reads_fields_and_facts_that_exist() -> None:
    fields = {field for event in BY_SENTENCE.values() for field in event.fields} | {"event", "level"}
    known = fields | {name for facts in STEP_FACTS.values() for name in facts.names}
    for name in ("story", "narration", "summary"):
        tree = ast.parse((ROOT / "retrainer" / "demo" / f"{name}.py").read_text())
        read = {key for node in ast.walk(tree) for key in _read_by(node)}
        assert read, name
        assert read <= known, f"{name}.py reads {read - known}, which nothing writes"


def _step_of(item: ast.withitem) -> Step | None:
    found = re.fullmatch(r"self\._reporter\.step\(Step\.(\w+)\)", ast.unparse(item.context_expr))
    return Step[found[1]] if found else None


def _facts_in(statement: ast.stmt) -> Iterator[str]:
    """Names that are put into `facts`, as patterns."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "facts":
            yield _pattern(node.slice)
        elif (
            isinstance(node, ast.AugAssign) and ast.unparse(node.target) == "facts" and isinstance(node.value, ast.Dict)
        ):
            yield from (_pattern(key) for key in node.value.keys if key is not None)


def _pattern(key: ast.expr) -> str:
    if isinstance(key, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else r"\w+" for one in key.values)
    return str(ast.literal_eval(key))


def _read_by(node: ast.AST) -> Iterator[str]:
    """The key of `record.get("key")` or `record["key"]`, and of the same on facts and on the end of a cycle."""
    records = {"record", "facts", "end", "cycle.end", "self.end", "cycle.probe"}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        key, of = node.args[0], node.func.value
    elif isinstance(node, ast.Subscript):
        key, of = node.slice, node.value
    else:
        return
    if ast.unparse(of) in records and isinstance(key, ast.Constant):
        yield str(key.value)
