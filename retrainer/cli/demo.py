"""`retrainer demo`: the whole loop on this machine, live."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from retrainer.cli.output import say
from retrainer.demo.demo import Demo
from retrainer.demo.errors import DemoError, DemoUsageError
from retrainer.demo.plan import Plan
from retrainer.demo.screen import Screen
from retrainer.demo.state import claimed
from retrainer.demo.story import Story
from retrainer.demo.summary import closing, opening

_FEWEST = 500  # listeners: with fewer the gate cannot tell
_INTERRUPTED = 130  # what a shell reports for Ctrl-C


def demo(
    data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Last.fm listening log; generated listeners without it."),
    ] = None,
    users: Annotated[int, typer.Option(min=_FEWEST, help="How many listeners to generate.")] = 2400,
    waves: Annotated[
        int, typer.Option(min=0, help="Waves of changes after the first version; one is corrupt, one is spam.")
    ] = 7,
    state: Annotated[Path, typer.Option(file_okay=False, help="Folder for all it leaves behind.")] = Path("var/demo"),
    limit: Annotated[float, typer.Option(min=1.0, help="Seconds after which it gives up.")] = 600.0,
) -> None:
    """See the real service at work: embedded broker, local feature store, and listeners whose tastes change.

    Needs no Kafka, no Hopsworks and no configuration. Exits with 0 when the first version was registered and every wave
    ended in a cycle that says what became of it.
    """
    for hangup in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(hangup, signal.default_int_handler)
    plan = Plan(state=state, data=data, users=users, waves=waves, limit=limit)
    story = Story()
    screen = Screen(story)
    try:
        with claimed(state):
            succeeded = _played(plan, story, screen)
    except KeyboardInterrupt:
        screen.console.print("stopped; nothing is left running", style="bold")
        raise typer.Exit(_INTERRUPTED) from None
    except DemoError as error:
        say(f"retrainer demo: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, DemoUsageError) else 1) from None
    if not succeeded:
        say(f"retrainer demo: not every wave ended in a decision; {plan.log_of('service')} says more", err=True)
    raise typer.Exit(0 if succeeded else 1)


def _played(plan: Plan, story: Story, screen: Screen) -> bool:
    """Run the demo between its first words and its last; those come also when it breaks off."""
    opening(screen.console, plan)
    try:
        with screen:
            return Demo(plan, story, screen).run()
    finally:
        if any(cycle.end is not None for cycle in story.cycles):
            closing(screen.console, story, plan)
