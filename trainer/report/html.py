"""Elements of HTML. Every text is escaped here; what is HTML already says so by its type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Raw(str):
    """HTML, which is taken as it is."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str) -> Raw:
    """An element; `class_` is the attribute `class`, and `data_x` is `data-x`."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"' for name, value in attributes.items()
    )
    return Raw(f"<{tag}{given}>{joined(content)}</{tag}>")


def joined(content: Iterable[str]) -> Raw:
    """Pieces one after another."""
    return Raw("".join(one if isinstance(one, Raw) else escape(one, quote=False) for one in content))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = True) -> Raw:
    """A table whose first column names its rows; where it is too wide, it scrolls by itself and not the page.

    Args:
        caption: what the table tells.
        heads: of the columns.
        rows: their cells.
        figures: whether the other columns are figures, which stand at the right.
    """
    head = element("tr", *(element("th", one, scope="col") for one in heads))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", one) for one in rest)) for first, *rest in rows
    ]
    drawn = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
        class_="figures" if figures else "texts",
    )
    return element("div", drawn, class_="wide", role="region", aria_label=caption, tabindex="0")


def facts(rows: Iterable[tuple[str, str]]) -> Raw:
    """Names and what there is to say."""
    return element("dl", *(element("div", element("dt", name), element("dd", told)) for name, told in rows))


def section(title: str, *content: str) -> Raw:
    """A part of the page; nothing where there is no content."""
    there = [one for one in content if one]
    return element("section", element("h2", title), *there) if there else Raw("")
