"""`retrainer simulate`: users whose features change, for demos and trials on a local feature store."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from kafka import KafkaProducer

from consumer.deadline import HELP, WITHOUT_PROGRESS, Deadline
from consumer.kafka.options import admin_options, producer_options
from consumer.logs import configure
from consumer.settings import Settings, load_settings
from retrainer.cli.output import say, say_json
from retrainer.cli.streams import reader_gone
from retrainer.demo.audience import MIN_USERS, GeneratedAudience
from retrainer.demo.errors import DemoError, DemoUsageError
from retrainer.demo.follows import LocalFollows
from retrainer.demo.friends import friends_beside
from retrainer.demo.lastfm import LastfmAudience
from retrainer.demo.simulator import Simulator, every, patiently, run
from retrainer.demo.spam import WithSpam
from retrainer.demo.upstream_bug import WithUpstreamBug
from retrainer.demo.waves import Audience, Committed
from retrainer.relay import Relay, ensure_topic
from schemas.cycle import LocalStore
from schemas.features import Column
from stores.features.local import LocalFeatureStore


def simulate(
    data: Annotated[
        Path | None, typer.Option(help="Last.fm listening log (user, artist, plays); generated listeners without it.")
    ] = None,
    users: Annotated[int, typer.Option(min=MIN_USERS, help="How many listeners to generate.")] = 2400,
    waves: Annotated[int, typer.Option(min=0, help="Waves of changes to commit; 0 means for ever.")] = 0,
    interval: Annotated[float, typer.Option(min=0.0, help="Seconds from one wave to the next.")] = 60.0,
    on_demand: Annotated[
        bool, typer.Option("--on-demand", help="One wave per line on standard input instead.")
    ] = False,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topic, where it has to be created.")] = 3,
    seed: Annotated[int, typer.Option(help="Another seed tells another story.")] = 0,
    bug_wave: Annotated[
        int, typer.Option(min=0, help="The wave in which an upstream bug writes NaN; the next mends it. 0: none.")
    ] = 0,
    spam_wave: Annotated[
        int, typer.Option(min=0, help="The wave in which bots follow for pay; the next deletes that. 0: none.")
    ] = 0,
    timeout: Annotated[float, typer.Option(min=0.0, help=HELP)] = WITHOUT_PROGRESS,
) -> None:
    """Fill the local feature store if it is empty, then change its users in waves and publish the change events.

    Broker, topic, groups and store are those of the service's settings; where these name a label group, the listeners
    follow each other. Every commit is reported as one line of JSON. A simulator that is stopped goes on where it was
    when it is started again with the same arguments. One that cannot publish for --timeout seconds ends with exit code
    1; what it has committed is published when it is started again.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ticks: Iterable[object] = sys.stdin if on_demand else every(interval, waves)
    try:
        with ExitStack() as stack:
            settings = load_settings()
            configure(settings.log)
            source = _source(data, users, seed, following=settings.labels is not None)
            source = WithUpstreamBug(source, bug_wave, seed) if bug_wave else source
            source = WithSpam(source, spam_wave, seed) if spam_wave else source
            simulator = _simulator(settings, source, partitions, stack, Deadline(timeout))
            run(simulator, ticks, _report)
    except KeyboardInterrupt:
        return
    except DemoError as error:
        say(f"retrainer simulate: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, DemoUsageError) else 1) from None


def _source(data: Path | None, users: int, seed: int, *, following: bool) -> Audience:
    if data:
        return LastfmAudience(data, seed, friends=friends_beside(data) if following else None)
    return GeneratedAudience(users, seed, following=following)


def _simulator(
    settings: Settings, source: Audience, partitions: int, stack: ExitStack, deadline: Deadline
) -> Simulator:
    """A simulator on the service's own settings; the stack closes what it needs."""
    group, kafka = settings.feature_group, settings.kafka
    if source.columns != group.columns:
        theirs, ours = _described(source.columns), _described(group.columns)
        raise DemoUsageError(f"{source.name} have the columns {theirs}; the feature group is set to {ours}")
    if not isinstance(settings.feature_store, LocalStore):
        raise DemoUsageError("the simulator fills the local feature store only; unset RETRAINER_HOPSWORKS__…")
    path = settings.feature_store.path
    store = LocalFeatureStore(path, group)
    stack.callback(store.close)
    patiently(lambda: ensure_topic(admin_options(kafka), kafka.topic, partitions), deadline)
    producer = patiently(lambda: KafkaProducer(**producer_options(kafka)), deadline)
    stack.callback(producer.close, timeout=5)
    follows = None
    if settings.labels is not None:
        topic = kafka.label_topic or kafka.topic
        patiently(lambda: ensure_topic(admin_options(kafka), topic, partitions), deadline)
        follows = LocalFollows(path, settings.labels, producer, topic)
        stack.callback(follows.close)
    place = path.with_name(path.name + ".waves")
    return Simulator(source, store, Relay(store, producer, kafka.topic), place, follows, deadline)


def _described(columns: Iterable[Column]) -> str:
    return ", ".join(f"{column.name} ({column.length})" for column in columns)


def _report(committed: Committed) -> None:
    say_json(asdict(committed))
    if reader_gone():  # and nobody else would stop it, where it goes on for ever
        raise KeyboardInterrupt
