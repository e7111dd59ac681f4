"""The users and labels that a cycle refused, in a file for the consumer: the result names only the first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from schemas.cycle import CycleRequest
from schemas.errors import RetrainerError
from schemas.labels import PairKey, pair_of
from schemas.manifest import REFUSED_USERS_FILE
from schemas.private import private_folder
from schemas.refused import NAMED, REFUSED_FILE, write_refused
from stores.files import replacing
from stores.model_registry import ModelRegistry, RegisteredVersion
from trainer.errors import TrainerError


def keep_refused(request: CycleRequest, users: Mapping[str, str], labels: Mapping[PairKey, str]) -> None:
    """Write all of them, each with the reason, to the file that the consumer reads."""
    file = _file(request)
    private_folder(file.parent)
    with replacing(file) as opened:
        write_refused(opened, users, labels)


def keep_refused_of(request: CycleRequest, registry: ModelRegistry, done: RegisteredVersion) -> None:
    """The same for a cycle that has registered, maybe on another machine: a file that is here may be of another try.

    A version has all refused users, but only the labels that its report names. Where more labels were refused, the file
    is removed, and the consumer does without.
    """
    file, read, report = _file(request), done.manifest.read_report, done.manifest.label_report
    users, labels = read.refused, report.refused if report is not None else {}
    try:
        if len(labels) >= NAMED:
            raise TrainerError(f"version {done.version} does not name all labels that were refused")
        if len(users) >= NAMED:
            users = json.loads((registry.fetch(done.version) / REFUSED_USERS_FILE).read_bytes())
        keep_refused(request, users, {pair_of(text): why for text, why in labels.items()})
    except (RetrainerError, ValueError):
        file.unlink(missing_ok=True)


def _file(request: CycleRequest) -> Path:
    return request.settings.work_dir / "cycles" / request.cycle_id / REFUSED_FILE
