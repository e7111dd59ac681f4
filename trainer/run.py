"""Running one request: the adapters that its settings name, the cycle, and every error turned into a result."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import closing

from schemas.cycle import CycleRequest, CycleResult, Outcome, Progress, TrainerSettings
from trainer.cycle import Cycle
from trainer.errors import CycleAbandoned, TrainerError
from trainer.features.local import LocalFeatureStore
from trainer.features.protocol import FeatureStore
from trainer.registry.local import LocalModelRegistry
from trainer.registry.protocol import ModelRegistry
from trainer.report import Reporter


def open_store(settings: TrainerSettings) -> FeatureStore:
    """The feature store that the settings name."""
    return LocalFeatureStore(settings.feature_store.path, settings.feature_group)


def open_registry(settings: TrainerSettings) -> ModelRegistry:
    """The model registry that the settings name."""
    return LocalModelRegistry(settings.model_registry.path, settings.model_name)


def run_cycle(
    request: CycleRequest, send: Callable[[Progress], None], stopping: Callable[[], bool]
) -> CycleResult | None:
    """Run a cycle to its result; None when it was given up because `stopping` said so."""
    try:
        with closing(open_store(request.settings)) as store:
            reporter = Reporter(request.cycle_id, send, stopping)
            return Cycle(request, store, open_registry(request.settings), reporter).run()
    except CycleAbandoned:
        return None
    except TrainerError as error:
        return _failed(request, str(error))
    except Exception as error:  # noqa: BLE001  (the border of the process: whatever it was, the consumer is told)
        traceback.print_exc()
        return _failed(request, f"{type(error).__name__}: {error}")


def _failed(request: CycleRequest, reason: str) -> CycleResult:
    return CycleResult(
        cycle_id=request.cycle_id, outcome=Outcome.FAILED, reason=reason, base_version=request.base_version
    )
