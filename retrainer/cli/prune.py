"""`retrainer prune`: delete old versions now, or see what would go and why the others stay."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Annotated, Any

import typer

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.cycles.pruner import Deleted, prune_some
from consumer.cycles.version_needs import Needs, needs_of
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.retention.policy import Retention
from consumer.settings import Settings, load_settings
from retrainer.cli.output import listing, say, say_json


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="How many of the newest stay. [default: RETRAINER_MODEL_REGISTRY__KEEP]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Delete the versions that are neither among the newest nor needed, and say why the others stay.

    The service does the same after each new version. The champion, those before it, the baseline, the best since, what
    is pinned, and what a running cycle is measured against stay, however old. Exits with 1 where a version could not be
    deleted; it stays marked as deleted, and the next prune, or the service, tries again.
    """
    settings = load_settings()
    keep = keep or settings.model_registry.keep
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        bytes_of, unknown = _sizes(settings)
        needs = needs_of(settings)
        plan = ledger.pruning.plan(keep, needs.channels, needs.further())
        deleted = None if dry_run else _delete(settings, ledger, keep, needs)
        others = sorted(bytes_of.keys() - ledger.pruning.numbers())
    if as_json:
        say_json(_record(plan, deleted, keep, bytes_of, others))
    else:
        _tell(plan, deleted, bytes_of, others)
        if unknown:
            say(f"sizes are not known: {unknown}", err=True)
    if deleted is not None and deleted.left:
        raise typer.Exit(1)


def _sizes(settings: Settings) -> tuple[dict[int, int], str | None]:
    """The bytes of each version that is there, or why they are not known."""
    try:
        found = ask_cluster(settings, "sizes", "all")
    except ClusterTrouble as trouble:
        return {}, str(trouble)
    return {int(version): size for version, size in found.items()}, None


def _delete(settings: Settings, ledger: Ledger, keep: int | None, needs: Needs) -> Deleted:
    """Delete all that goes, a portion at a time."""
    freed: dict[int, int] = {}
    while True:
        some = prune_some(settings, ledger, time.time(), keep, needs)
        freed |= some.freed
        if not some.freed or some.left:
            return Deleted(freed, some.left)


def _record(
    plan: Retention, deleted: Deleted | None, keep: int | None, bytes_of: Mapping[int, int], others: Iterable[int]
) -> dict[str, Any]:
    goes = {version: bytes_of.get(version) for version in plan.goes} if deleted is None else deleted.freed
    return {
        "dry_run": deleted is None,
        "keep": keep,
        "deleted": [{"version": version, "bytes": size} for version, size in sorted(goes.items())],
        "left": [] if deleted is None else [{"version": one, "why": why} for one, why in sorted(deleted.left.items())],
        "stays": [
            {"version": version, "bytes": bytes_of.get(version), "reasons": reasons}
            for version, reasons in plan.stays.items()
        ],
        "of_another_ledger": list(others),
    }


def _tell(plan: Retention, deleted: Deleted | None, bytes_of: Mapping[int, int], others: list[int]) -> None:
    if plan.stays:
        rows = [
            (str(version), _megabytes(bytes_of.get(version)), "; ".join(reasons))
            for version, reasons in sorted(plan.stays.items(), reverse=True)
        ]
        listing(("version", "MB", "why it stays"), rows, right={"version", "MB"})
    goes = {version: bytes_of.get(version, 0) for version in plan.goes} if deleted is None else deleted.freed
    done = "would delete" if deleted is None else "deleted"
    if goes:
        say(f"{done} {_count(len(goes))}, {_megabytes(sum(goes.values()))} MB: {spans(goes)}")
    else:
        say(f"{done} nothing")
    for version, why in sorted(deleted.left.items()) if deleted is not None else ():
        say(f"version {version} is marked as deleted and still there: {why}", err=True)
    if others:
        say(f"{_count(len(others))} that this ledger does not know stay: {spans(others)}")


def spans(numbers: Iterable[int]) -> str:
    """Numbers in words, those that follow each other as a span: `1 to 4, 7`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][-1] == number - 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join(" to ".join(map(str, span)) for span in found)


def _count(versions: int) -> str:
    return f"{versions} version{'s' * (versions != 1)}"


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.1f}"
