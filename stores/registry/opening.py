"""Opens the model registry that settings name. The SDK of Hopsworks is imported only where it is needed."""

from __future__ import annotations

from schemas.cycle import LocalRegistry, TrainerSettings
from schemas.hopsworks import Hopsworks, HopsworksStore
from stores.model_registry import ModelRegistry
from stores.registry.local import LocalModelRegistry


def open_registry(settings: TrainerSettings, cluster: Hopsworks | None = None) -> ModelRegistry:
    """The model registry of the settings; by other deadlines than theirs where `cluster` is given."""
    if isinstance(settings.model_registry, LocalRegistry):
        return LocalModelRegistry(settings.model_registry.path, settings.model_name)
    from stores.hopsworks.session import session_with
    from stores.hopsworks.training_data import TrainingData
    from stores.registry.hopsworks.registry import HopsworksModelRegistry

    cluster = cluster or settings.hopsworks
    assert cluster is not None
    session, store = session_with(cluster), settings.feature_store
    data: TrainingData | None = None
    if isinstance(store, HopsworksStore) and settings.model_registry.training_dataset:
        data = TrainingData(session, store, settings.feature_group)
    return HopsworksModelRegistry(
        session,
        settings.model_registry,
        settings.model_name,
        cache=settings.work_dir / "versions",
        training_data=data,
    )
