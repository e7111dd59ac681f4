"""`retrainer vectors`: every user's vectors by the towers of a version, for a server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from consumer.vectors.following import place_of
from consumer.vectors.process import VectorsProcess, VectorsTrouble, request_of
from retrainer.cli.output import console, say, say_json
from schemas.jobs.vectors import ENDINGS, Tower, VectorStamp


class Which(StrEnum):
    """Which towers are exported."""

    QUERY = "query"
    CANDIDATE = "candidate"
    BOTH = "both"


_TOWERS = {Which.QUERY: (Tower.QUERY,), Which.CANDIDATE: (Tower.CANDIDATE,), Which.BOTH: tuple(Tower)}


def vectors(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder for sets, or a file: .parquet or .npz. [default: RETRAINER_VECTORS__OUT]"),
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Of which version. [default: the champion]")] = None,
    tower: Annotated[Which, typer.Option(help="Which vectors.")] = Which.BOTH,
    changed_only: Annotated[
        bool, typer.Option("--changed-only", help="Compute only what changed since the export that is there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: the stamp.")] = False,
) -> None:
    """Write every user's vectors, as the towers of a version compute them from today's rows.

    In a folder a new set takes the place of the one before in one rename, so that a server never reads half of it; each
    file says of which version it is. --changed-only keeps what is there where row and towers are the same; with other
    towers everything is computed. See docs/vectors.md.
    """
    settings = load_settings()
    place = _place(out or settings.vectors.out)
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        base = ledger.cycles.base()
    if (wanted := version or base.version) is None:
        raise VectorsTrouble("there is no champion yet; `retrainer train --full` makes one, or name a --version")
    follows = place == place_of(settings).absolute() and settings.vectors.feature_group is not None
    request = request_of(
        settings,
        base,
        wanted,
        place,
        _TOWERS[tower],
        changed_only=changed_only,
        feature_group=settings.vectors.feature_group if follows and wanted == base.version else None,
    )
    with _bar() as tick:
        stamp = VectorsProcess(settings, request).answer(tick)
    if as_json:
        say_json(stamp.model_dump(mode="json"))
    else:
        for line in _in_words(stamp, place):
            say(line)


def _place(out: Path | None) -> Path:
    if out is None:
        raise typer.BadParameter("say where to: --out FOLDER, --out FILE.parquet or --out FILE.npz")
    if out.suffix and out.suffix not in ENDINGS and not out.is_dir():
        raise typer.BadParameter(f"--out {out}: a file ends with .parquet or .npz; a new folder has no ending")
    if out.suffix in ENDINGS and out.is_dir():
        raise typer.BadParameter(f"--out {out} is a folder, and its name is that of a file")
    return out.absolute()


@contextmanager
def _bar() -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal, on standard error; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _done, _about: None
        return
    columns = (TextColumn("vectors"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(err=True), transient=True) as progress:
        task = progress.add_task("vectors", total=None)
        yield lambda done, about: progress.update(
            task, completed=done, total=None if about is None else max(about, done)
        )


def _in_words(stamp: VectorStamp, place: Path) -> Iterator[str]:
    what = " and ".join(f"{tower} vectors" for tower in stamp.towers)
    yield f"{what} of version {stamp.origin.version}, {stamp.users} users, {stamp.dimension} numbers each: {place}"
    if stamp.made_from is not None:
        removed = f", {stamp.removed} users removed" if stamp.removed else ""
        yield f"{stamp.computed} computed, the others as in {stamp.made_from}{removed}"
    if stamp.without_direction:
        yield f"{stamp.without_direction} users are left out, as their features are all zero"
