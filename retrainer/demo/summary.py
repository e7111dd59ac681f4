"""How the demo begins and ends: what it is about, what became of every cycle, and where the rest lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from consumer.plain import one_line
from retrainer.demo.plan import Plan
from retrainer.demo.story import CycleView, Record, Story
from retrainer.demo.waves import in_words
from schemas.cycle import Outcome


def opening(console: Console, plan: Plan) -> None:
    """What is going to happen."""
    text = f"{plan.whom}, {plan.changes}. {plan.stage}; what they keep lies in {plan.state}."
    console.print(
        Panel(Text(one_line(text)), title="Retrainer demo", title_align="left", border_style="cyan", padding=(0, 1))
    )


def closing(console: Console, story: Story, plan: Plan) -> None:
    """What has become of every cycle, and what to look at next."""
    console.print()
    console.rule(Text("what became of it", "bold cyan"), align="left", style="cyan")
    console.print(table(story, console.width, ascii_only=console.options.ascii_only))
    console.print(_FIGURES_OF_OUTCOMES if _learns_outcomes(story) else _FIGURES, style="dim")
    for note in _notes(story):
        console.print()
        console.print(note)
    console.print()
    console.print(Text(f"{_summary(story)}\n", "bold"))
    console.print(_listing(("dim", ""), *((what, str(path)) for what, path in plan.places())))
    console.print()
    console.print("Look around with the same settings:", style="dim")
    for command in plan.commands():
        console.print(Text(f"  {one_line(command)}", "bold"), soft_wrap=True)


def _listing(styles: tuple[str, str], *rows: tuple[str, str]) -> Table:
    """Names and what belongs to them, side by side."""
    found = Table.grid(padding=(0, 2, 0, 0))
    found.add_column(style=styles[0], no_wrap=True)
    found.add_column(style=styles[1], overflow="fold")
    for row in rows:
        found.add_row(*(Text(one_line(cell)) for cell in row))
    return found


def _notes(story: Story) -> Iterator[RenderableType]:
    """What a row of the table has no room for: why a cycle was held or refused, and what `unchanged` means."""
    ended = [cycle for cycle in story.cycles if cycle.end is not None]
    if any(cycle.outcome == Outcome.UNCHANGED for cycle in ended):
        yield Text(_NO_BETTER if _learns_outcomes(story) else _NOTHING_TO_LEARN)
    for number, cycle in enumerate(ended):
        if cycle.end is None or cycle.outcome in _SETTLING:
            continue
        where = f"wave {cycle.wave}" if cycle.wave else cycle.kind
        rows = [(where, f"{cycle.outcome}: {cycle.end.get('reason')}")]
        if way_out := cycle.end.get("way_out"):
            rows.append(("to do", str(way_out)))
        settling = next((later for later in ended[number:] if later.outcome in _SETTLING), None)
        if cycle.outcome == Outcome.HELD and settling is not None:
            rows.append(
                ("then", f"wave {settling.wave} went on by itself, and its cycle settled {settling.users:,} users")
            )
        elif settling is not None and settling.version is not None and settling.wave > cycle.wave:
            rows.append(("then", f"the cycle of wave {settling.wave} registered version {settling.version}"))
        colour = _colour(cycle)
        yield _listing((f"bold {colour}", colour), *rows)


def _summary(story: Story) -> str:
    """How many cycles ended how."""
    outcomes = [cycle.outcome for cycle in story.cycles if cycle.end is not None]
    versions = outcomes.count(Outcome.REGISTERED)
    refusals = outcomes.count(Outcome.REJECTED) + outcomes.count(Outcome.INCONCLUSIVE)
    return in_words(
        (versions, "version registered", "versions registered"),
        (outcomes.count(Outcome.UNCHANGED), "cycle found nothing to learn", "cycles found nothing to learn"),
        (outcomes.count(Outcome.HELD), "cycle held, with the way out", "cycles held, with the way out"),
        (refusals, "cycle refused a version, with its reason", "cycles refused a version, with their reasons"),
        (outcomes.count(Outcome.FAILED), "cycle failed", "cycles failed"),
    )


def table(story: Story, width: int = 120, *, ascii_only: bool = False) -> Table:
    """One row for every cycle that ended, whatever it came to; a narrow one has fewer columns."""
    arrow = " -> " if ascii_only else " → "
    found = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    columns = _COLUMNS_OF_OUTCOMES if _learns_outcomes(story) else _COLUMNS
    shown = [column for column in columns if width >= column.least]
    for column in shown:
        found.add_column(column.name, justify="right" if column.figure else "left", overflow="fold")
    for cycle in story.cycles:
        if cycle.end is not None:
            row = _row(cycle, cycle.end, arrow, width)
            found.add_row(*(row[column.name] for column in shown))
    return found


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table, left out where the screen is narrower than `least` characters."""

    name: str
    figure: bool = False
    least: int = 0


_NARROW, _LESS_NARROW, _ROOMY, _ROOMIER, _WIDE, _WIDER, _WIDEST = 78, 84, 96, 104, 116, 124, 158  # characters
_COLUMNS = (
    _Column("wave", figure=True, least=_NARROW),
    _Column("cycle"),
    _Column("why", least=_WIDEST),
    _Column("users", figure=True, least=_NARROW),
    _Column("similar pairs", figure=True, least=_ROOMY),
    _Column("outcome"),
    _Column("version", figure=True),
    _Column("accuracy", figure=True),
    _Column("precision", figure=True),
    _Column("recall", figure=True),
    _Column("s", figure=True, least=_WIDER),
)

_COLUMNS_OF_OUTCOMES = (
    _Column("wave", figure=True, least=_NARROW),
    _Column("cycle"),
    _Column("why", least=_WIDEST),
    _Column("users", figure=True, least=_ROOMY),
    _Column("labels", figure=True, least=_LESS_NARROW),
    _Column("outcome"),
    _Column("version", figure=True),
    _Column("at first", figure=True),
    _Column("AUC", figure=True),
    _Column("recall@50", figure=True),
    _Column("s", figure=True, least=_ROOMIER),
)

_FIGURES_OF_OUTCOMES = (
    "version: the one that answers from then on. at first: the AUC that the version before had on the new labels, "
    "before any was learned. AUC, recall@50: on the labels held out, of the version before and the one that answers; "
    "a guess has an AUC of 0.5."
)
_FIGURES = (
    "version: the one that answers from then on; its figures are of the users held out, on the data of that moment"
)
_NOTHING_TO_LEARN = (
    "unchanged: there was nothing to learn. Users count as similar by their features, and the champion already tells "
    "who is, of changed and new users too: see its figures. So it answers for them, and no version is registered that "
    "would be no better."
)
_NO_BETTER = (
    "unchanged: what could be learned made the champion no better at labels that it has not seen, so it stays and "
    "answers for these changes, and no version is registered."
)
_COLOURS = {Outcome.REGISTERED.value: "green", Outcome.UNCHANGED.value: "cyan", Outcome.HELD.value: "yellow"}
_SETTLING = {Outcome.REGISTERED.value, Outcome.UNCHANGED.value}


def _learns_outcomes(story: Story) -> bool:
    """Whether versions are judged by labels."""
    ends = [cycle.end for cycle in story.cycles if cycle.end is not None]
    return any(isinstance(end.get(name), float) for end in ends for name in ("outcome_auc", "champion_outcome_auc"))


def _colour(cycle: CycleView) -> str:
    return _COLOURS.get(str(cycle.outcome), "red")


def _row(cycle: CycleView, end: Record, arrow: str, width: int) -> dict[str, Text]:
    new = cycle.version is not None
    version = cycle.version if new else end.get("base_version")

    def figure(name: str, least: int, form: str = ".4f") -> Text:
        """Of the version that answers; where that is a new one and there is room, that of the one before as well."""
        champion, challenger = end.get(f"champion_{name}"), end.get(name)
        after = challenger if new else champion
        return Text(_from_to(champion if new and width >= least else None, after, arrow, form))

    return {
        "wave": Text(str(cycle.wave or "")),
        "cycle": Text(one_line(cycle.kind)),
        "why": Text(one_line(cycle.reason), "dim"),
        "users": Text(f"{end.get('changed_users') or 0:,}"),
        "labels": Text(f"{labels:,}" if (labels := end.get("changed_labels")) else ""),
        "at first": Text(_from_to(None, cycle.probe.get("auc"), arrow, ".3f")),
        "AUC": figure("outcome_auc", 0, ".3f"),
        "recall@50": figure("recall_at_50", _ROOMY, ".3f"),
        "similar pairs": Text(_from_to(end.get("pairs_before") or None, end.get("pairs_after"), arrow, ",")),
        "outcome": Text(one_line(str(cycle.outcome)), f"bold {_colour(cycle)}"),
        "version": Text("" if version is None else str(version), "bold" if new else "dim"),
        "accuracy": figure("accuracy", _ROOMIER),
        "precision": figure("precision", _WIDE),
        "recall": figure("recall", _WIDE),
        "s": Text(_from_to(None, end.get("seconds"), arrow, ".1f")),
    }


def _from_to(before: Any, after: Any, arrow: str, form: str) -> str:
    """Before, arrow, after; or what there is of it."""
    return arrow.join(format(value, form) for value in (before, after) if isinstance(value, int | float))
