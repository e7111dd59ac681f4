"""The SQL that reaches the online store: a SELECT of columns, perhaps of certain keys. Nothing else is understood."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.hopsworks_double.rows.conditions import Both, Condition, Either, OneOf, UnsupportedError

_TOKEN = re.compile(r"\s*(`[^`]*`|'(?:[^'\\]|\\.|'')*'|\w+|[(),.=;])", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "Z": "\x1a", "b": "\b"}


@dataclass(frozen=True)
class Select:
    """Which columns of which table, under which names, of which rows."""

    columns: Sequence[tuple[str, str]]
    """The column and the name it is to have in the result."""
    table: str
    condition: Condition | None
    limit: int | None = None


def parse(sql: str, primary_key: Collection[str]) -> Select:
    """Read a SELECT; `UnsupportedError` for everything else."""
    return _Parser(sql, primary_key).select()


class _Parser:
    def __init__(self, sql: str, primary_key: Collection[str]) -> None:
        self._sql = sql
        self._tokens = _tokens(sql)
        self._primary_key = primary_key
        self._at = 0

    def select(self) -> Select:
        self._expect("SELECT")
        columns = [self._column()]
        while self._accept(","):
            columns.append(self._column())
        self._expect("FROM")
        table = self._name()
        if not self._ends():
            self._accept("AS")
            self._name()
        condition = self._either() if self._accept("WHERE") else None
        limit = int(self._next()) if self._accept("LIMIT") else None
        self._accept(";")
        if not self._ends():
            raise UnsupportedError(f"{self._peek()!r} in {self._sql[:200]!r}")
        return Select(columns, table, condition, limit)

    def _column(self) -> tuple[str, str]:
        name = self._name()
        if self._accept("AS") or self._peek().startswith("`"):
            return name, self._name()
        return name, name

    def _either(self) -> Condition:
        condition = self._both()
        while self._accept("OR"):
            condition = Either(condition, self._both())
        return condition

    def _both(self) -> Condition:
        condition = self._single()
        while self._accept("AND"):
            condition = Both(condition, self._single())
        return condition

    def _single(self) -> Condition:
        if self._accept("("):
            condition = self._either()
            self._expect(")")
            return condition
        column = self._name()
        if column not in self._primary_key:
            raise UnsupportedError(f"condition on {column}")
        if self._accept("="):
            return OneOf(column, frozenset([self._value()]))
        self._expect("IN")
        self._expect("(")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        self._expect(")")
        return OneOf(column, frozenset(values))

    def _value(self) -> str:
        if self._accept("("):
            value = self._value()
            self._expect(")")
            return value
        token = self._next()
        return _text(token) if token.startswith("'") else token

    def _name(self) -> str:
        """The last part of a name, such as `column` of `alias`.`column`."""
        parts = [self._next()]
        while self._peek() == ".":
            self._next()
            parts.append(self._next())
        return parts[-1].strip("`")

    def _peek(self) -> str:
        return "" if self._ends() else self._tokens[self._at]

    def _ends(self) -> bool:
        return self._at >= len(self._tokens)

    def _next(self) -> str:
        if self._ends():
            raise UnsupportedError(f"the end of {self._sql[:200]!r}")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, token: str) -> bool:
        if self._peek().upper() != token:
            return False
        self._at += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise UnsupportedError(f"{self._peek()!r} in place of {token!r} in {self._sql[:200]!r}")


def _tokens(sql: str) -> list[str]:
    tokens: list[str] = []
    at, end = 0, len(sql.rstrip())
    while at < end:
        match = _TOKEN.match(sql, at)
        if match is None:
            raise UnsupportedError(f"{sql[at : at + 50]!r}")
        tokens.append(match.group(1))
        at = match.end()
    return tokens


def _text(literal: str) -> str:
    """What a string literal of MySQL means, whichever way its quotes are escaped."""
    return re.sub(r"\\(.)|''", _unescaped, literal[1:-1], flags=re.DOTALL)


def _unescaped(match: re.Match[str]) -> str:
    escaped = match.group(1)
    return "'" if escaped is None else _ESCAPED.get(escaped, escaped)
