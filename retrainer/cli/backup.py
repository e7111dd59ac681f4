"""`retrainer backup` and `restore`: what the service knows, in a folder, and back again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from consumer.ledger.ledger import open_ledger
from consumer.lock import only_one
from consumer.settings import load_settings
from retrainer.backup.contents import Contents
from retrainer.backup.restoring import restore as restore_backup
from retrainer.backup.taking import take_backup
from retrainer.cli.output import console, facts, say, say_json


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for the backup.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Write ledger, local feature store and local registry into a folder, while the service runs.

    The ledger is that of one moment, as SQLite, whatever its engine. Stores in a cluster are backed up there.
    """
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger, _counting("backing up") as copied:
        found = take_backup(settings, ledger, folder, copied)
    if as_json:
        say_json(found.model_dump(mode="json"))
    else:
        facts({"backup": str(folder), **_held(found)})


def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Restore a backup into an empty ledger, and the local stores where they are missing. Nothing is overwritten.

    The service must not run. Numbers of versions are skipped, so that none that was given after the backup is given
    again. Events since the backup are read once more from their topic.
    """
    settings = load_settings()
    with only_one(settings.state_dir), _counting("restoring") as copied:
        done = restore_backup(settings, folder, datetime.now(UTC), copied)
    if as_json:
        told = {"feature_store": done.feature_store, "registry": done.registry, "next_version": done.next_version}
        say_json({**told, "contents": done.contents.model_dump(mode="json")})
        return
    facts(
        {
            "restored": str(folder),
            **_held(done.contents),
            "feature store": "restored" if done.feature_store else "left as it is",
            "registry": "restored" if done.registry else "left as it is",
            "next version": f"{done.next_version} or higher: lower numbers may have been given since the backup",
        }
    )
    say("next: `retrainer doctor`, then `retrainer run`")


def _held(found: Contents) -> dict[str, str]:
    versions = found.registry_versions
    return {
        "taken at": found.taken_at.isoformat(timespec="seconds"),
        "ledger": f"{found.ledger_id}, schema {found.schema_version}, {sum(found.rows.values()):,} rows",
        "of these": f"{found.rows['cycles']:,} cycles, {found.rows['changes']:,} pending or claimed users",
        "versions": "in the cluster" if versions is None else f"{len(versions):,} in the local registry",
    }


@contextmanager
def _counting(what: str) -> Iterator[Callable[[int], None]]:
    """Rows on a terminal, nothing elsewhere."""
    err = console(err=True)
    columns = (TextColumn("{task.description}: {task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda rows: bar.update(task, completed=rows)
