"""How the demo begins and ends: what it is about, what became of every cycle, and where the rest lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from consumer.demo.plan import Plan
from consumer.demo.story import CycleView, Story
from consumer.demo.waves import in_words
from schemas.cycle import Outcome


def opening(console: Console, plan: Plan) -> None:
    """What is going to happen."""
    text = (
        f"{plan.whom}, then {in_words((plan.waves, 'wave', 'waves')) or 'no waves'} of changes. {plan.stage}; "
        f"what they keep lies in {plan.state}."
    )
    console.print(Panel(text, title="Retrainer demo", title_align="left", border_style="cyan", padding=(0, 1)))


def closing(console: Console, story: Story, plan: Plan) -> None:
    """What has become of every cycle, and what to look at next."""
    console.print()
    console.rule(Text("what became of it", "bold cyan"), align="left", style="cyan")
    console.print(table(story, console.width, ascii_only=console.options.ascii_only))
    console.print("figures: champion's and challenger's, on the same held-out users at the same moment", style="dim")
    console.print()
    console.print(f"{_summary(story)}\n", style="bold")
    lying = Table.grid(padding=(0, 2, 0, 0))
    lying.add_column(style="dim")
    lying.add_column(overflow="fold")
    for what, path in plan.places():
        lying.add_row(what, str(path))
    console.print(lying)
    console.print()
    console.print("Look around with the same settings:", style="dim")
    for command in plan.commands():
        console.print(f"  {command}", style="bold", soft_wrap=True)


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
    """One row for every cycle that ended, versions and refusals alike; a narrow one has fewer columns."""
    arrow = "->" if ascii_only else "→"
    arrow = f" {arrow} " if width >= _ROOMY else arrow
    rows = [_row(cycle, arrow, width >= _WIDE) for cycle in story.cycles if cycle.end is not None]
    found = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    shown = [column for column in _COLUMNS if width >= column.least]
    for column in shown:
        found.add_column(
            column.name, justify="right" if column.figure else "left", min_width=column.narrowest, overflow="fold"
        )
    for row in rows:
        found.add_row(*(row[column.name] for column in shown))
    return found


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table, left out where the screen is narrower than `least` characters."""

    name: str
    figure: bool = False
    least: int = 0
    narrowest: int | None = None


_NARROW, _ROOMY, _WIDE, _WIDEST = 78, 90, 118, 150  # characters
_COLUMNS = (
    _Column("version", figure=True),
    _Column("wave", figure=True, least=_WIDE),
    _Column("cycle", narrowest=11),
    _Column("why", least=_WIDEST),
    _Column("users", figure=True, least=_NARROW),
    _Column("similar pairs", figure=True, least=_ROOMY),
    _Column("accuracy", figure=True),
    _Column("precision", figure=True, least=_NARROW),
    _Column("recall", figure=True, least=_NARROW),
    _Column("s", figure=True, least=_WIDE),
    _Column("outcome", narrowest=12),
)


_COLOURS = {Outcome.REGISTERED.value: "green", Outcome.UNCHANGED.value: "cyan", Outcome.HELD.value: "yellow"}


def _row(cycle: CycleView, arrow: str, wide: bool) -> dict[str, Text]:
    end = cycle.end or {}
    before = end if wide else {}  # precision and recall are the challenger's alone where there is no room for both
    told = str(cycle.outcome) if cycle.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED} else ""
    outcome = Text(told or f"{cycle.outcome}: {end.get('reason')}", _COLOURS.get(str(cycle.outcome), "red"))
    return {
        "version": Text("" if cycle.version is None else str(cycle.version), "bold"),
        "wave": Text(str(cycle.wave or "")),
        "cycle": Text(cycle.kind),
        "why": Text(cycle.reason, "dim"),
        "users": Text(f"{end.get('changed_users') or 0:,}"),
        "similar pairs": Text(_from_to(end.get("pairs_before") or None, end.get("pairs_after"), arrow, ",")),
        "accuracy": Text(_from_to(end.get("champion_accuracy"), end.get("accuracy"), arrow, ".3f")),
        "precision": Text(_from_to(before.get("champion_precision"), end.get("precision"), arrow, ".3f")),
        "recall": Text(_from_to(before.get("champion_recall"), end.get("recall"), arrow, ".3f")),
        "s": Text(_from_to(None, end.get("seconds"), arrow, ".1f")),
        "outcome": outcome,
    }


def _from_to(before: Any, after: Any, arrow: str, form: str) -> str:
    """Before, arrow, after; or what there is of it."""
    return arrow.join(format(value, form) for value in (before, after) if isinstance(value, int | float))
