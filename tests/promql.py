"""Which metrics and labels a query of Prometheus uses. Whatever this does not understand is an error, not a pass."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<range>\[[^\]]*\])
      | (?P<variable>\$\w+)
      | (?P<number>(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf|NaN)\b)
      | (?P<name>[a-zA-Z_:][\w:]*)
      | (?P<operator>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){},])""",
    re.VERBOSE,
)
_RANGE = re.compile(r"\[(?:(?:\d+(?:ms|[smhdwy]))+|\$\w+)(?::(?:\d+[smhdwy])?)?\]")
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "bool", "offset"}
_FUNCTIONS = {
    *("sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile", "group", "stddev"),
    *("rate", "irate", "increase", "delta", "changes", "resets", "histogram_quantile", "time", "vector", "scalar"),
    *("absent", "absent_over_time", "max_over_time", "min_over_time", "avg_over_time", "sum_over_time", "clamp_min"),
    *("label_replace", "round", "abs", "deriv", "predict_linear"),
}
_MATCHES = {"=", "!=", "=~", "!~"}


@dataclass(slots=True)
class Used:
    """A metric in a query, with what its labels are compared with."""

    metric: str
    matchers: list[tuple[str, str, str]] = field(default_factory=list)
    """Label, operator, value."""


@dataclass(slots=True)
class Query:
    """What a query uses."""

    metrics: list[Used] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)
    """Labels by which something is grouped or joined."""


def parse(text: str) -> Query:
    """What a query uses.

    Raises:
        ValueError: it is not understood.
    """
    tokens, found = _tokens(text), Query()
    at = 0
    while at < len(tokens):
        kind, value = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "name" and value in _GROUPING:
            at, names = _listed(tokens, at + 1, text)
            found.grouped |= names
        elif kind == "name" and following == "(":
            if value not in _FUNCTIONS:
                raise ValueError(f"{value} is no function that is known here: {text}")
            at += 1
        elif kind == "name" and (value in _WORDS or (value in _FUNCTIONS and following in _GROUPING)):
            at += 1
        elif kind == "name":
            used = Used(value)
            found.metrics.append(used)
            at = _matchers(tokens, at + 1, used, text)
        elif value in {"{", "}"}:
            raise ValueError(f"a selector without a metric: {text}")
        else:
            at += 1
    if not found.metrics:
        raise ValueError(f"no metric: {text}")
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text[at : at + 10]!r} is not understood in {text}")
        kind, at = str(match.lastgroup), match.end()
        if kind == "range" and not _RANGE.fullmatch(match[0]):
            raise ValueError(f"{match[0]} is no range in {text}")
        if kind != "space":
            found.append((kind, match[0]))
    return found


def _listed(tokens: list[tuple[str, str]], at: int, text: str) -> tuple[int, set[str]]:
    """The names in the brackets that begin at `at`, and where what follows them begins."""
    if at >= len(tokens) or tokens[at][1] != "(":
        return at, set()  # group_left without labels
    names = set[str]()
    for end in range(at + 1, len(tokens)):
        kind, value = tokens[end]
        if value == ")":
            return end + 1, names
        if kind == "name":
            names.add(value)
        elif value != ",":
            break
    raise ValueError(f"a list of labels is not understood in {text}")


def _matchers(tokens: list[tuple[str, str]], at: int, used: Used, text: str) -> int:
    """Put the matchers that begin at `at` into `used`; gives where what follows them begins."""
    if at >= len(tokens) or tokens[at][1] != "{":
        return at
    at += 1
    while at < len(tokens) and tokens[at][1] != "}":
        if tokens[at][1] == ",":
            at += 1
            continue
        part = tokens[at : at + 3]
        if [kind for kind, _ in part] != ["name", "operator", "string"] or part[1][1] not in _MATCHES:
            raise ValueError(f"a matcher is not understood in {text}")
        used.matchers.append((part[0][1], part[1][1], part[2][1][1:-1]))
        at += 3
    if at >= len(tokens):
        raise ValueError(f"a selector has no end in {text}")
    return at + 1
