"""`retrainer setup-hopsworks`: what the service needs of a cluster is made where it is missing."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from consumer.logs import configure
from consumer.plain import one_line
from consumer.settings import load_settings
from retrainer.cli.output import say
from retrainer.setup.steps import Wishes


def setup_hopsworks(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")] = False,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topic, where it has to be made.")] = 3,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace a notification topic that is another; its readers get nothing more."),
    ] = False,
    ray_job: Annotated[
        str | None, typer.Option(help="Make a Ray job of this name, too, which runs a trainer on the cluster's Ray.")
    ] = None,
    ray_workers: Annotated[int, typer.Option(min=1, help="Pods of Ray that the job may have, beside the head.")] = 1,
) -> None:
    """Make the topic for change events, have the feature group announce its changes there, and make the feature view.

    The same is done for the label group, where one is set. What is there already stays as it is, so doing it twice does
    nothing. `retrainer doctor` says whether all is well.
    """
    from retrainer.setup.run import set_up

    settings = load_settings()
    warnings.simplefilter("ignore")  # of the SDK, to people who write programs with it
    configure(settings.log)
    wishes = Wishes(dry_run=dry_run, partitions=partitions, replace=replace, ray_job=ray_job, ray_workers=ray_workers)
    for step in set_up(settings, wishes):
        say(f"{step.made.value:<13}  {one_line(step.what)}")
