"""A probe of pending changes: the champion is scored on them in a copy of its space, and nothing is changed.

The pending users and labels are read as a cycle reads them, so the score is that of a cycle that would start now. The
copy has the matrix and the labels, but no pairs. It lies among the spaces: after a killed probe, the next cycle removes
it as a space that no version uses.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.cycle import CycleRequest, ProbeReport, Step
from stores.feature_store import FeatureStore
from stores.features.reading import absent, read_users
from stores.label_store import LabelStore
from trainer.gate.probe import probe
from trainer.label_intake import take_in_labels
from trainer.labels.outcomes import Outcomes
from trainer.learning.cycle_fit import changed_rows
from trainer.matrix.population import Population, populate
from trainer.opponents import LoadedVersion
from trainer.progress import Reporter
from trainer.space import Space

_NOT_COPIED = shutil.ignore_patterns("pairs.*", "short.bin", "projection.npz", ".*")


def probe_pending(
    request: CycleRequest,
    store: FeatureStore,
    label_store: LabelStore | None,
    champion: LoadedVersion,
    reporter: Reporter,
    seed: int,
) -> ProbeReport:
    """The champion's score on the users and labels of `request`, as they are in their stores now.

    Raises:
        ContractError: a store does not match its group's contract.
    """
    with _copied(request, champion) as space:
        if space is None:
            summary = f"version {champion.version} cannot be probed: its embedding space is not at hand"
            return ProbeReport(version=champion.version, users=0, labels=0, summary=summary)
        with reporter.step(Step.READ):
            rows = read_users(
                store,
                request.settings.feature_group,
                request.users,
                lambda done: reporter.running(Step.READ, done, None),
            )
            space.apply(rows, [*absent(request.users, rows), *rows.refused])
            population = populate(space.matrix, request.settings.split)
            outcomes = _outcomes(request, label_store, space, population, reporter)
        with reporter.step(Step.PROBE):
            changed = changed_rows(request, space)
            raw, directions = space.matrix.raw, space.matrix.directions
            return probe(champion, raw, directions, population, changed, outcomes, request.settings, seed)


def _outcomes(
    request: CycleRequest,
    label_store: LabelStore | None,
    space: Space,
    population: Population,
    reporter: Reporter,
) -> Outcomes | None:
    group = request.settings.labels
    if label_store is None or group is None:
        return None
    taken, book = take_in_labels(request, label_store, space, None, reporter), space.labels()
    taken.into(book)
    return book.known_labels(group, space.matrix, population, request.labels).outcomes


@contextmanager
def _copied(request: CycleRequest, champion: LoadedVersion) -> Iterator[Space | None]:
    """A temporary copy of the champion's space; None where the space is missing, or has missed a cycle."""
    info, settings = champion.manifest.space, request.settings
    spaces = settings.work_dir / "spaces"
    spaces.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="probe-", dir=spaces) as name:
        folder = Path(name) / info.space_id
        try:
            shutil.copytree(spaces / info.space_id, folder, ignore=_NOT_COPIED)
        except FileNotFoundError:
            yield None
            return
        space = Space.open(folder, info, settings.feature_group, request.last_promoted_cycle)
        if space is None:
            yield None
            return
        with closing(space):
            yield space
