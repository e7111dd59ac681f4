"""`retrainer import`: users' vectors, and labels, from files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.deadline import Deadline, TimedOut
from consumer.errors import SettingsError
from consumer.settings import Settings, load_settings
from consumer.stopping import on_stop
from retrainer.cli.output import console, listing, say, say_json
from retrainer.importing.announcing import announce
from retrainer.importing.changes import Imported, bring
from retrainer.importing.edges import Labels, columns_of
from retrainer.importing.errors import ImportRefused
from retrainer.importing.layout import found_in, layout, proposal
from retrainer.importing.rows import Users
from retrainer.importing.sources import Source, first_rows, source
from schemas.cycle import LocalStore
from schemas.labels import LabelGroup
from stores.features.local import LocalFeatureStore
from stores.labels.local import LocalLabelStore

_SHOWN = 10
_LOOK_EVERY = 2.0


def import_(
    users: Annotated[Path, typer.Argument(help="A .parquet, .csv, .npz or .jsonl file with a row for each user.")],
    key: Annotated[str | None, typer.Option(help="Column of the user id; the feature group's where not given.")] = None,
    labels: Annotated[Path | None, typer.Option(help="A file of labels: a row for each pair of users.")] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="NAME=COLUMN", help="The file's COLUMN for a name of the settings; may come again."
        ),
    ] = None,
    delete_missing: Annotated[
        bool, typer.Option("--delete-missing", help="Delete users, or labels, that the file does not name.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Import again whenever a file changes, until stopped.")
    ] = False,
    refused: Annotated[Path | None, typer.Option(help="Write the refused rows to this file, as JSON lines.")] = None,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds to wait for a broker; 0: for ever.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: a line for each import.")] = False,
) -> None:
    """Write the rows of a file into the local feature store, and announce what has changed.

    A row that is the same as in the store is left alone. A row that is unfit for use is refused with its reason, and
    the stored one stays. Where the columns are not those of the settings, the settings that would fit are printed. An
    import may be repeated: what was not announced is announced then.
    """
    settings = load_settings()
    if not isinstance(settings.feature_store, LocalStore):
        raise SettingsError("import fills the local feature store only; unset RETRAINER_HOPSWORKS__…")
    if labels is not None and settings.labels is None:
        settings = settings.model_copy(update={"labels": LabelGroup()})
    names = _pairs(renamed or [])

    def once() -> None:
        found = _import_once(settings, users, labels, key, names, delete_missing=delete_missing, dry_run=dry_run)
        if refused is not None:
            _write_refused(refused, found)
        _report(found, 0 if dry_run else _announced(settings, timeout), dry_run=dry_run, as_json=as_json)

    if watch:
        on_stop(lambda _signal: sys.exit(0))
        _watch(once, users, labels)
    else:
        once()


def _watch(once: Callable[[], None], *files: Path | None) -> None:
    """Import whenever a file was written, for ever; what goes wrong is said, and tried again at the next look."""
    done: tuple[int, ...] | None = None
    while True:
        now = _written(*files)
        if now != done:
            try:
                once()
                done = now
            except (ImportRefused, TimedOut) as error:
                say(f"retrainer: {error}", err=True)
                done = now if isinstance(error, ImportRefused) else done  # a file that is wrong has to change first
        time.sleep(_LOOK_EVERY)


def _import_once(
    settings: Settings,
    users: Path,
    labels: Path | None,
    key: str | None,
    names: dict[str, str],
    *,
    delete_missing: bool,
    dry_run: bool,
) -> dict[str, Imported]:
    group, path = settings.feature_group, _store(settings)
    key = key or names.get(group.primary_key, group.primary_key)
    file = source(users, (key,))
    there = found_in(first_rows(file), key)
    try:
        columns = layout(group, there, names)
    except ImportRefused as error:
        raise ImportRefused(f"{users}: {error}\nsettings that fit the file:\n\n{proposal(there, key)}") from None
    options = {"delete_missing": delete_missing, "dry_run": dry_run}
    found = {}
    with closing(LocalFeatureStore(path, group)) as store, _progress(file) as committed:
        if not dry_run:
            store.commit({})  # makes a store that is not there
        found["users"] = bring(file, Users(store, group, key, columns), committed=committed, **options)
    if labels is not None:
        assert settings.labels is not None
        ends = tuple(names.get(name, name) for name in (settings.labels.user_key, settings.labels.other_key))
        file = source(labels, ends)
        edges = columns_of(first_rows(file), settings.labels, names)
        with closing(LocalLabelStore(path, settings.labels)) as label_store, _progress(file) as committed:
            if not dry_run:
                label_store.commit({})
            target = Labels(label_store, settings.labels, edges, time.time())
            found["labels"] = bring(file, target, committed=committed, **options)
    return found


def _announced(settings: Settings, timeout: float) -> int:
    path, kafka = _store(settings), settings.kafka
    with closing(LocalFeatureStore(path, settings.feature_group)) as store:
        events = announce(kafka, {kafka.topic: store}, Deadline(timeout))
    if settings.labels is None:
        return events
    with closing(LocalLabelStore(path, settings.labels)) as label_store:
        return events + announce(kafka, {kafka.label_topic or kafka.topic: label_store}, Deadline(timeout))


def _store(settings: Settings) -> Path:
    assert isinstance(settings.feature_store, LocalStore)
    return settings.feature_store.path


def _pairs(renamed: list[str]) -> dict[str, str]:
    found = {}
    for one in renamed:
        name, equals, column = one.partition("=")
        if not (name and equals and column):
            raise typer.BadParameter(f"'{one}' is not NAME=COLUMN, as in --map user_id=id")
        found[name] = column
    return found


def _written(*files: Path | None) -> tuple[int, ...]:
    """When the files were written; a file that is not there for a moment, as it is being replaced, counts as old."""
    found = []
    for file in files:
        try:
            found.append(file.stat().st_mtime_ns if file is not None else 0)
        except FileNotFoundError:
            found.append(0)
    return tuple(found)


@contextmanager
def _progress(file: Source) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    err = console(err=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task(file.path.name, total=file.rows)
        yield lambda rows: bar.update(task, completed=rows)


def _report(found: dict[str, Imported], events: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {what: asdict(one) for what, one in found.items()}
        say_json({**told, "events": events, "dry_run": dry_run})
        return
    for what, one in found.items():
        deleted = f", {one.deleted:,} deleted" if one.deleted else ""
        repeated = f"; of {one.repeated:,} repeated ones the last counts" if one.repeated else ""
        say(
            f"{what}: {one.rows:,} rows read, {one.new:,} new, {one.changed:,} changed, {one.unchanged:,} as before, "
            f"{one.refused_rows:,} refused{deleted}{repeated}"
        )
        if one.refused:
            rows = [(str(row.number), row.key or "-", row.reason) for row in one.refused[:_SHOWN]]
            listing(("row", what[:-1], "reason"), rows, right={"row"})
            if one.refused_rows > _SHOWN:
                say(f"and {one.refused_rows - _SHOWN:,} more; --refused writes them to a file")
    say("nothing was written (--dry-run)" if dry_run else f"{events:,} change events announced")


def _write_refused(path: Path, found: dict[str, Imported]) -> None:
    lines = [json.dumps({"of": what, **asdict(row)}) for what, one in found.items() for row in one.refused]
    path.write_text("".join(f"{line}\n" for line in lines))
