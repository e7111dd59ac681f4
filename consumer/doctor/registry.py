"""The model registry, tried by the one thing that shows that it can be written: something is, and is removed again."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from tempfile import NamedTemporaryFile

from consumer.doctor.checks import Check, Finding, Trouble, failed, ok
from consumer.doctor.cluster import PROJECT
from consumer.doctor.visit import Visit
from schemas.cycle import LocalRegistry
from trainer.errors import TrainerError, Unauthorized

NAME = "model registry"

_TRACE = "retrainer_doctor_"
_ROLE = "give the key the scopes dataset_create, dataset_delete and modelregistry, and its owner the role Data owner"


def registry_check(visit: Visit) -> Check:
    """Whether models can be registered."""
    if not visit.registers_in_cluster:
        return Check(NAME, lambda: _local(visit))
    return Check(NAME, lambda: _cluster(visit), needs=(PROJECT,))


def _local(visit: Visit) -> Finding:
    registry = visit.settings.model_registry
    assert isinstance(registry, LocalRegistry)
    folder = existing(registry.path)
    try:
        with NamedTemporaryFile(prefix=f".{_TRACE}", dir=folder):
            pass
    except OSError as error:
        return failed(
            f"{folder} cannot be written: {error.strerror}", "set RETRAINER_MODEL_REGISTRY__PATH, or its owner"
        )
    return ok(f"{registry.path} can be written{'' if folder == registry.path else ' (it is made at the first use)'}")


def _cluster(visit: Visit) -> Finding:
    from trainer.hopsworks.dataset import Dataset

    dataset, models = Dataset(visit.session), f"/Projects/{visit.cluster.project}/Models"
    if dataset.stat(models) is None:
        return failed(
            f"project {visit.cluster.project} has no dataset Models, so no model registry",
            "enable serving in the project's settings, which makes it",
        )
    folder = f"{models}/{_TRACE}{token_hex(4)}"
    try:
        dataset.make(folder)
    except Unauthorized as error:
        raise Trouble(f"writing is not permitted: {error}", _ROLE) from None
    try:
        dataset.remove(folder, sign=folder)
    except TrainerError as error:
        raise Trouble(
            f"a folder could be made, but not removed: {error}", f"{_ROLE}; then remove {folder} by hand"
        ) from None
    return ok(f"a folder was made in {models}, and removed again")


def existing(path: Path) -> Path:
    """The path, or the innermost folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())
