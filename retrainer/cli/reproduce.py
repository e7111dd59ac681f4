"""`retrainer reproduce`: train a version again, and see how close that comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from consumer.dead_letters.render import when
from consumer.deadline import HELP, WITHOUT_PROGRESS, Deadline
from consumer.ledger.ledger import open_ledger
from consumer.ledger.recorded import ChangedSince, Recorded, changed_since, recorded
from consumer.settings import Settings, load_settings
from retrainer.cli.output import facts, listing, say, say_json
from retrainer.reproduction.claimed import claimed_by_events
from retrainer.reproduction.process import NotReproduced, run
from schemas.cycle import Metrics, Progress
from schemas.jobs.reproduction import Reproduction, ReproductionRequest, TowerDistance

_FIGURES = {
    "accuracy": "accuracy",
    "AUC": "auc",
    "precision": "precision",
    "recall": "recall",
    "average precision": "average_precision",
    "recall@10": "recall_at_10",
    "calibration error": "calibration_error",
}


def reproduce(
    version: Annotated[int, typer.Argument(min=1, help="The version to train again.")],
    timeout: Annotated[float, typer.Option(min=0.0, help=HELP)] = WITHOUT_PROGRESS,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Train a version again from what is recorded of it, and say how close that comes.

    Users, labels, seed and rules are those of its cycle; rows are those of then where the feature store keeps history,
    and today's otherwise. Stores and registry are only read, and no version is registered. Exits with 0 also where the
    two differ: that is a result; with 1 where something is missing without which nothing can be trained.
    """
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        on_record = recorded(ledger, version)
        if on_record is None:
            raise NotReproduced(
                f"the ledger knows no version {version}; `retrainer versions` lists those that it knows"
            )
        changed = changed_since(ledger, on_record.claimed_at)
    if (missing := _missing(version, on_record)) is not None:
        raise NotReproduced(missing)
    request = ReproductionRequest(
        version=version,
        settings=settings.for_trainer(),
        as_of=datetime.fromtimestamp(on_record.claimed_at, UTC),
    )
    found = _run(settings, request, on_record, Deadline(timeout))
    if as_json:
        say_json({**found.model_dump(mode="json"), "changed_since": changed._asdict()})
    else:
        _tell(found, changed, on_record)


def _missing(version: int, on_record: Recorded) -> str | None:
    """Why the version cannot be trained again, as far as the ledger knows."""
    if on_record.deleted_at is not None:
        return f"version {version} was deleted from the registry at {when(on_record.deleted_at)}: its record is left"
    if on_record.base_deleted and not on_record.kind.from_scratch:
        return (
            f"version {version} was trained from version {on_record.base_version}, which was deleted from the registry;"
            " RETRAINER_MODEL_REGISTRY__KEEP says how many stay"
        )
    return None


def _run(settings: Settings, request: ReproductionRequest, on_record: Recorded, deadline: Deadline) -> Reproduction:
    """Train again; where the version does not tell what its cycle had claimed, its events are read again for that."""
    try:
        return run(settings, request, _heard)
    except NotReproduced as error:
        if not error.claim_unknown:
            raise
    say(f"version {request.version} is of an earlier release: its events are read again, for whom they name", err=True)
    claimed = claimed_by_events(settings, on_record.lineage, deadline, lambda line: say(line, err=True))
    return run(settings, request.model_copy(update={"claimed": claimed}), _heard)


def _heard(progress: Progress) -> None:
    if progress.state == "done":
        say(f"{progress.step} done", err=True)


def _tell(found: Reproduction, changed: ChangedSince, on_record: Recorded) -> None:
    facts(dict(_facts(found, changed, on_record)))
    say()
    rows = [
        (name, *(_figure(metrics, field) for metrics in (found.recorded, found.original, found.again)))
        for name, field in _FIGURES.items()
    ]
    listing(("figure", "then", "today", "trained again"), rows, right={"then", "today", "trained again"})
    say("then: of the version when it was registered; today: of the same version on the rows that were read now")


def _facts(found: Reproduction, changed: ChangedSince, on_record: Recorded) -> Iterator[tuple[str, str]]:
    yield "version", f"{found.version} ({found.kind}), of cycle {found.cycle_id}"
    yield "verdict", found.verdict
    yield "rows", _rows(found, changed, on_record)
    for name, tower in (("query tower", found.query), ("candidate tower", found.candidate)):
        yield name, _tower(tower, found.users)
    yield (
        "calls",
        f"the same on {found.agreement:.2%} of {found.called} pairs that either calls similar, of {found.pairs} asked",
    )
    differing = ", ".join(f"{name} {then}, now {now}" for name, (then, now) in found.packages.items())
    yield "packages", f"other than then: {differing}" if differing else "as they were"
    if found.notes:
        yield "notes", "\n".join(found.notes)


def _rows(found: Reproduction, changed: ChangedSince, on_record: Recorded) -> str:
    since = f"{changed.users} users" + (f" and {changed.labels} labels" if changed.labels else "")
    if found.rows_as_of is not None:
        return (
            f"as of {found.rows_as_of.isoformat(timespec='seconds')}, by their event times; what was deleted since is"
            f" missing; {since} have changed since"
        )
    return f"today's: the store keeps no history; {since} have changed since {when(on_record.claimed_at)}"


def _tower(tower: TowerDistance, users: int) -> str:
    return (
        f"mean cosine of {users} users' embeddings {tower.cosine:.4f}, after the best rotation {tower.rotated:.4f};"
        f" weights differ by {tower.weights:.2g} of their length"
    )


def _figure(metrics: Metrics, field: str) -> str:
    value = getattr(metrics, field)
    return "-" if value is None else f"{value:.4f}"
