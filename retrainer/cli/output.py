"""What commands say to people and to machines.

To people every text goes through `consumer.plain`, whoever wrote it. A terminal, or `COLUMNS`, says how wide a line may
be. A pipe and a file have no width: there every row is one line, and nothing is cut.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumer.plain import indented, one_line, plain

_NO_LIMIT = 100_000  # characters: rich wants a number
_LEAST = 20  # characters; in fewer nothing can be read
_NARROW = 60  # characters: below, a value stands under its name and not beside it
_INDENT, _GAP = "    ", "  "


def say(text: str = "", *, err: bool = False) -> None:
    """A line for people; where the text has several, only the first begins where lines of ours begin."""
    _write(f"{indented(text)}\n", sys.stderr if err else sys.stdout)


def say_json(found: object, file: TextIO | None = None) -> None:
    """A line of JSON for machines, exact, in ASCII."""
    _write(f"{json.dumps(found)}\n", file or sys.stdout)


def facts(rows: Mapping[str, str]) -> None:
    """Names, and beside or under them what there is to say; a value may have several lines."""
    limit = width(sys.stdout)
    if limit is not None and limit < _NARROW:
        for name, value in rows.items():
            show(Text(name, "bold"))
            show(_under(value))
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(name, "bold"), several_lines(value))
    show(table)


def listing(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Container[str] = ()) -> None:
    """Rows in columns, the last of which may be long. Where they are too wide, that one stands below its row.

    Args:
        heads: what the columns are called.
        rows: their cells.
        right: columns of figures, which stand at the right.
    """
    table = [list(heads), *([one_line(cell) for cell in row] for row in rows)]
    widths = _widths(table)
    limit = width(sys.stdout)
    beside = limit is None or _total(widths) <= limit
    aside = limit is None or _total(widths[:-1]) <= limit
    drawn: list[RenderableType] = []
    for number, (*first, last) in enumerate(table):
        if aside:
            sized = zip(heads, first, widths, strict=False)
            first = [_filled(one, size, to_the_right=head in right) for head, one, size in sized]
        line = _GAP.join([*first, last] if beside else first)
        drawn.append(Text(line, "" if number else "bold", overflow="fold"))
        if not beside and number and last:
            drawn.append(_under(last))
    show(Group(*drawn))


def needed(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """How many characters a line of such columns has."""
    return _total(_widths([heads, *rows]))


def fitting(heads: Sequence[str], rows: Sequence[Mapping[str, str]], least_needed: Iterable[str]) -> list[str]:
    """Of these columns as many as have room beside each other. The last one may stand below its row.

    Args:
        heads: what the columns are called.
        rows: their cells by column.
        least_needed: the columns that may be left out, the least needed first.
    """
    limit, kept = width(sys.stdout), list(heads)
    for least in least_needed:
        if limit is None or needed(kept[:-1], ([row[head] for head in kept[:-1]] for row in rows)) <= limit:
            break
        kept = [head for head in kept if head != least]
    return kept


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(*table, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _filled(text: str, size: int, *, to_the_right: bool) -> str:
    blanks = " " * (size - cell_len(text))
    return f"{blanks}{text}" if to_the_right else f"{text}{blanks}"


def cell(text: str, style: str = "") -> Text:
    """A text for rich, in one line."""
    return Text(one_line(text), style, overflow="fold")


def several_lines(text: str, style: str = "") -> Text:
    """A text for rich that may have several lines."""
    return Text(plain(text), style, overflow="fold")


def show(what: RenderableType) -> None:
    """Something that rich draws, without blanks at the ends of lines."""
    drawn = console()
    with drawn.capture() as captured:
        drawn.print(what)
    _write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()), sys.stdout)


def console(file: TextIO | None = None, *, err: bool = False) -> Console:
    """A console that takes no text for markup, and is as wide as `width` says."""
    file = file or (sys.stderr if err else sys.stdout)
    return Console(file=file, width=width(file) or _NO_LIMIT, markup=False, emoji=False, highlight=False)


def width(file: Any) -> int | None:
    """How many characters a line may have; None where there is no limit, as in a pipe or a file."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdecimal() and int(given) > 0:
        return max(_LEAST, int(given))
    try:
        columns = os.get_terminal_size(file.fileno()).columns if file.isatty() else 0
    except (OSError, ValueError, AttributeError):
        return None
    return max(_LEAST, columns) if columns else None


def _under(text: str) -> RenderableType:
    table = Table.grid()
    table.add_column(width=len(_INDENT))
    table.add_column(overflow="fold")
    table.add_row("", several_lines(text))
    return table


def _write(text: str, file: TextIO) -> None:
    file.write(text)
    file.flush()
