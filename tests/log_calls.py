"""Every call of the code that logs, found in its syntax: which event, at which level, with which fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from schemas.log_events.event import LogEvent

ROOT = Path(__file__).parents[1]
ROOMS = ("consumer", "trainer", "stores", "retrainer", "schemas")
_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


@dataclass(frozen=True, slots=True)
class Logged:
    """One call. `fields` are names, or patterns where the code puts a name together."""

    where: str
    event: LogEvent
    levels: frozenset[str]
    fields: frozenset[str]


class UnclearError(Exception):
    """A call whose event or fields cannot be read off the code."""


def all_logged() -> Iterator[Logged]:
    """Every call in the rooms of the code.

    Raises:
        UnclearError: a call logs something else than a constant of schemas/log_events.
    """
    modules = [_Module(path) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    forwarders = {(module.name, name): calls for module in modules for name, calls in module.forwarded().items()}
    for module in modules:
        yield from module.logged()
        yield from module.handed_over(forwarders)


@dataclass(frozen=True, slots=True)
class _Forwarded:
    """A class logs an event that its maker hands over as argument number `argument`."""

    argument: int
    levels: frozenset[str]
    fields: frozenset[str]


class _Module:
    def __init__(self, path: Path) -> None:
        self.name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        self._tree = ast.parse(path.read_text())
        self._path = path
        self._from = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self._tree)
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
            for alias in node.names
        }
        made = [node for node in ast.walk(self._tree) if isinstance(node, ast.Call) and _called(node) == "get_logger"]
        named = [node for node in self._tree.body if isinstance(node, ast.Assign) and node.value in made]
        if len(made) != len(named) or any(ast.unparse(node.targets[0]) != "log" for node in named):
            raise UnclearError(f"{path}: a logger is the module's `log`, and nothing else")
        self._calls = list(self._log_calls()) if named else []

    def logged(self) -> Iterator[Logged]:
        for call, levels in self._calls:
            if not _is_own(call.args[0]):
                for event in self._events(call.args[0]):
                    yield Logged(self._at(call), event, levels, self._fields(call))

    def forwarded(self) -> dict[str, list[_Forwarded]]:
        """By the class in this module that is given events to log."""
        found: dict[str, list[_Forwarded]] = {}
        for cls in (node for node in self._tree.body if isinstance(node, ast.ClassDef)):
            inside = set(ast.walk(cls))
            for call, levels in self._calls:
                if call in inside and _is_own(call.args[0]):
                    one = _Forwarded(_argument_kept_in(cls, call.args[0]), levels, self._fields(call))
                    found.setdefault(cls.name, []).append(one)
        return found

    def handed_over(self, forwarders: dict[tuple[str, str], list[_Forwarded]]) -> Iterator[Logged]:
        for call in (node for node in ast.walk(self._tree) if isinstance(node, ast.Call)):
            maker = self._from.get(call.func.id) if isinstance(call.func, ast.Name) else None
            for one in forwarders.get(maker, []) if maker else []:
                for event in self._events(call.args[one.argument]):
                    yield Logged(self._at(call), event, one.levels, one.fields)

    def _log_calls(self) -> Iterator[tuple[ast.Call, frozenset[str]]]:
        """Calls of `log.info` and so on, also by a name that one or several of them were given."""
        aliases: dict[str, frozenset[str]] = {}
        ways = {
            node
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "log"
        }
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and (held := ways & set(ast.walk(node.value)) - _functions(node.value)):
                aliases[ast.unparse(node.targets[0])] = frozenset(_LEVELS[way.attr] for way in held)
                ways -= held
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and node.func in ways and isinstance(node.func, ast.Attribute):
                ways.remove(node.func)
                yield node, frozenset({_LEVELS[node.func.attr]})
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in aliases:
                yield node, aliases[node.func.id]
        if ways:
            raise UnclearError(f"{self._at(ways.pop())}: `log` is used to call its levels, and for nothing else")

    def _events(self, given: ast.expr) -> Iterator[LogEvent]:
        if isinstance(given, ast.IfExp):
            yield from self._events(given.body)
            yield from self._events(given.orelse)
            return
        module, name = self._from.get(ast.unparse(given), ("", ""))
        event = getattr(import_module(module), name) if module.startswith("schemas.log_events.") else None
        if not isinstance(event, LogEvent):
            raise UnclearError(
                f"{self._at(given)}: {ast.unparse(given)} is no constant imported from schemas/log_events"
            )
        yield event

    def _fields(self, call: ast.Call) -> frozenset[str]:
        return frozenset(
            name
            for given in call.keywords
            if given.arg != "exc_info"  # the logger's own: the line has `exception`
            for name in ([given.arg] if given.arg else self.keys(given.value))
        )

    def keys(self, mapping: ast.expr) -> Iterator[str]:
        """The keys of what makes a dictionary, as patterns."""
        match mapping:
            case ast.Dict():
                for key, value in zip(mapping.keys, mapping.values, strict=True):
                    yield from [_pattern(key)] if key is not None else self.keys(value)
            case ast.DictComp():
                yield _pattern(mapping.key)
            case ast.IfExp():
                yield from self.keys(mapping.body)
                yield from self.keys(mapping.orelse)
            case ast.Call(func=ast.Name(id=name)):
                yield from self._keys_returned(name)
            case _:
                raise UnclearError(f"{self._at(mapping)}: nobody can tell which fields {ast.unparse(mapping)} has")

    def _keys_returned(self, function: str) -> Iterator[str]:
        if function in self._from:
            module, name = self._from[function]
            yield from _Module(ROOT / f"{module.replace('.', '/')}.py")._keys_returned(name)
            return
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                for returned in (one for one in ast.walk(node) if isinstance(one, ast.Return) and one.value):
                    assert returned.value is not None
                    yield from self.keys(returned.value)

    def _at(self, node: ast.expr) -> str:
        return f"{self._path.relative_to(ROOT)}:{node.lineno}"


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def _functions(value: ast.expr) -> set[ast.AST]:
    """What is called in an expression."""
    return {node.func for node in ast.walk(value) if isinstance(node, ast.Call)}


def _is_own(given: ast.expr) -> bool:
    return isinstance(given, ast.Attribute) and ast.unparse(given.value) == "self"


def _argument_kept_in(cls: ast.ClassDef, attribute: ast.expr) -> int:
    """Which argument of a class is kept in its attribute."""
    begin = next(node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    names = [argument.arg for argument in begin.args.args[1:]]
    kept = next(
        node.value
        for node in ast.walk(begin)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == ast.unparse(attribute)
    )
    return names.index(ast.unparse(kept))


def _pattern(key: ast.expr) -> str:
    if isinstance(key, ast.JoinedStr):
        return "".join(re.escape(str(one.value)) if isinstance(one, ast.Constant) else r"\w*" for one in key.values)
    if isinstance(key, ast.IfExp):
        return f"{_pattern(key.body)}|{_pattern(key.orelse)}"
    return re.escape(str(ast.literal_eval(key)))
