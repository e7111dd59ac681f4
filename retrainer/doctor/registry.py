"""The model registry: whether it exists and, with `--try-writing`, whether it can be written."""

from __future__ import annotations

from secrets import token_hex

from retrainer.doctor.checks import Check, CheckFailed, Finding, failed, ok
from retrainer.doctor.cluster import PROJECT
from retrainer.doctor.context import CheckContext
from retrainer.doctor.folders import existing, why_not_writable
from schemas.cycle import LocalRegistry
from stores.errors import StoreError, Unauthorized

NAME = "model registry"

_TRACE = "retrainer_doctor_"
_ROLE = "give the key the scopes dataset_create, dataset_delete and modelregistry, and its owner the role Data owner"


def registry_check(context: CheckContext) -> Check:
    """Whether models can be registered."""
    if not context.registers_in_cluster:
        return Check(NAME, lambda: _local(context))
    return Check(NAME, lambda: _cluster(context), needs=(PROJECT,))


def _local(context: CheckContext) -> Finding:
    registry = context.settings.model_registry
    assert isinstance(registry, LocalRegistry)
    folder = existing(registry.path)
    if (why := why_not_writable(folder)) is not None:
        return failed(f"{folder} cannot be written: {why}", "set RETRAINER_MODEL_REGISTRY__PATH, or its owner")
    return ok(f"{registry.path} can be written{'' if folder == registry.path else ' (it is made at the first use)'}")


def _cluster(context: CheckContext) -> Finding:
    from stores.hopsworks.dataset import Dataset

    dataset, models = Dataset(context.session()), f"/Projects/{context.cluster.project}/Models"
    if dataset.stat(models) is None:
        return failed(
            f"project {context.cluster.project} has no dataset Models, so no model registry",
            "enable serving in the project's settings, which makes it",
        )
    if not context.try_writing:
        return ok(f"{models} is there; `retrainer doctor --try-writing` shows whether this key may write it")
    folder = f"{models}/{_TRACE}{token_hex(4)}"
    try:
        dataset.make(folder)
    except Unauthorized as error:
        raise CheckFailed(f"writing is not permitted: {error}", _ROLE) from None
    try:
        dataset.remove(folder, marker=folder)
    except StoreError as error:
        raise CheckFailed(
            f"a folder could be made, but not removed: {error}", f"{_ROLE}; then remove {folder} by hand"
        ) from None
    return ok(f"a folder was made in {models}, and removed again")
