"""The model registry: is it there and, where the doctor is asked to try, can it be written."""

from __future__ import annotations

from secrets import token_hex

from retrainer.doctor.checks import Check, Finding, Trouble, failed, ok
from retrainer.doctor.cluster import PROJECT
from retrainer.doctor.folders import existing, why_not_writable
from retrainer.doctor.visit import Visit
from schemas.cycle import LocalRegistry
from stores.errors import StoreError, Unauthorized

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
    if (why := why_not_writable(folder)) is not None:
        return failed(f"{folder} cannot be written: {why}", "set RETRAINER_MODEL_REGISTRY__PATH, or its owner")
    return ok(f"{registry.path} can be written{'' if folder == registry.path else ' (it is made at the first use)'}")


def _cluster(visit: Visit) -> Finding:
    from stores.hopsworks.dataset import Dataset

    dataset, models = Dataset(visit.session), f"/Projects/{visit.cluster.project}/Models"
    if dataset.stat(models) is None:
        return failed(
            f"project {visit.cluster.project} has no dataset Models, so no model registry",
            "enable serving in the project's settings, which makes it",
        )
    if not visit.try_writing:
        return ok(f"{models} is there; `retrainer doctor --try-writing` shows whether this key may write it")
    folder = f"{models}/{_TRACE}{token_hex(4)}"
    try:
        dataset.make(folder)
    except Unauthorized as error:
        raise Trouble(f"writing is not permitted: {error}", _ROLE) from None
    try:
        dataset.remove(folder, sign=folder)
    except StoreError as error:
        raise Trouble(
            f"a folder could be made, but not removed: {error}", f"{_ROLE}; then remove {folder} by hand"
        ) from None
    return ok(f"a folder was made in {models}, and removed again")
