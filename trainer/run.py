"""Runs one request: opens the adapters of its settings, runs the cycle, and turns every error into a result."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack, closing

from schemas.cycle import (
    CycleRequest,
    CycleResult,
    LocalStore,
    Outcome,
    Progress,
    TrainerSettings,
)
from schemas.errors import RetrainerError
from schemas.recorded import recorded
from schemas.stores.calls import CalledAt
from stores.feature_store import FeatureStore
from stores.features.local import LocalFeatureStore
from stores.hopsworks.secrets import redacted
from stores.label_store import LabelStore
from stores.labels.local import LocalLabelStore
from stores.registry.opening import open_registry
from trainer.calls import Calls
from trainer.cycle import Cycle
from trainer.device import settle
from trainer.errors import CycleAbandoned
from trainer.evidence.keeper import EvidenceKeeper
from trainer.package import packages
from trainer.progress import Reporter


def open_store(settings: TrainerSettings) -> FeatureStore:
    """The feature store of the settings. The SDK of Hopsworks is imported only where it is needed."""
    if isinstance(settings.feature_store, LocalStore):
        return LocalFeatureStore(settings.feature_store.path, settings.feature_group)
    from stores.features.hopsworks import HopsworksFeatureStore
    from stores.hopsworks.session import session_with

    assert settings.hopsworks is not None
    return HopsworksFeatureStore(session_with(settings.hopsworks), settings.feature_store, settings.feature_group)


def open_label_store(settings: TrainerSettings) -> LabelStore | None:
    """The label group of the settings, in the same store as the features; None where there is none."""
    if settings.labels is None:
        return None
    if isinstance(settings.feature_store, LocalStore):
        return LocalLabelStore(settings.feature_store.path, settings.labels)
    from stores.hopsworks.session import session_with
    from stores.labels.hopsworks import HopsworksLabelStore

    assert settings.hopsworks is not None
    return HopsworksLabelStore(session_with(settings.hopsworks), settings.feature_store, settings.labels)


def run_cycle(
    request: CycleRequest,
    send: Callable[[Progress], None],
    stopping: Callable[[], bool],
    permitted: Callable[[float], bool] = lambda _seconds: True,
) -> CycleResult | None:
    """Run a cycle to its result; None where `stopping` ended the cycle.

    Args:
        request: the cycle's.
        send: gets each line of progress.
        stopping: whether the cycle should end now.
        permitted: waits up to so many seconds for the permit to register, and returns whether it came.
    """
    with closing(EvidenceKeeper(request)) as evidence:
        result = _run(request, evidence, send, stopping, permitted)
        if result is not None:
            evidence.write(result)
        return result


def _run(
    request: CycleRequest,
    evidence: EvidenceKeeper,
    send: Callable[[Progress], None],
    stopping: Callable[[], bool],
    permitted: Callable[[float], bool],
) -> CycleResult | None:
    calls = Calls()
    try:
        result = _run_with(calls, request, evidence, Reporter(request.cycle_id, send, stopping, permitted))
    except CycleAbandoned:
        return None
    except RetrainerError as error:
        result = _failed(request, str(error))
    except Exception as error:  # noqa: BLE001  (the border of the process: every error becomes a result)
        print(redacted(traceback.format_exc()), file=sys.stderr)
        result = _failed(request, redacted(f"{type(error).__name__}: {error}"))
    return result.model_copy(update={"calls": calls.report})


def _run_with(calls: Calls, request: CycleRequest, evidence: EvidenceKeeper, reporter: Reporter) -> CycleResult:
    settle(request.settings.device)
    with ExitStack() as opened:
        store = calls.opened(CalledAt.FEATURES, lambda: open_store(request.settings))
        opened.enter_context(closing(store))
        label_store = calls.opened(CalledAt.LABELS, lambda: open_label_store(request.settings))
        if label_store is not None:
            opened.enter_context(closing(label_store))
        registry = calls.opened(CalledAt.REGISTRY, lambda: open_registry(request.settings))
        return Cycle(request, store, label_store, registry, reporter, evidence).run()


def _failed(request: CycleRequest, reason: str) -> CycleResult:
    return CycleResult(
        cycle_id=request.cycle_id,
        outcome=Outcome.FAILED,
        reason=reason,
        base_version=request.base_version,
        fence=request.fence,
        settings=recorded(request.settings),
        packages=packages(),
    )
