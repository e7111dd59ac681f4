"""The trainer that is started ahead of the next cycle: loading TensorFlow takes longer than many cycles."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from consumer.cycles.trainer_process import TrainerProcess
from consumer.environment import for_child, variables_of_ray
from consumer.settings import Settings
from schemas.cycle import CycleRequest
from schemas.engine import Device
from schemas.fault_points import Point, reached
from schemas.log_events.cycles import WAITING_TRAINER_ENDED

log = structlog.get_logger()

_AGAIN = 10.0  # seconds after one has died, so that a trainer that cannot start is not started without a pause


class WarmTrainer:
    """Has a trainer ready.

    Args:
        wanted: whether a trainer is started before there is a cycle for it.
        spoke: called, from another thread, when a trainer has said something or has ended.
        environment: the environment of a trainer.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(
        self,
        *,
        wanted: bool,
        spoke: Callable[[], None],
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._clock = clock
        self._spoke = spoke
        self._environment = environment
        self._trainer: TrainerProcess | None = None
        self._start_at = float("-inf")

    def keep(self) -> None:
        """Start a trainer if that is wanted and none is ready."""
        if not self._wanted or self._clock() < self._start_at:
            return
        if self._trainer is not None and (code := self._trainer.exit_code()) is not None:
            log.warning(WAITING_TRAINER_ENDED, exit_code=code, last_words=self._trainer.last_words())
            self._trainer = None
            self._start_at = self._clock() + _AGAIN
        else:
            self._trainer = self._trainer or TrainerProcess(self._spoke, self._environment)

    def give(self, folder: Path, request: CycleRequest) -> TrainerProcess:
        """Have the waiting trainer, or a new one, run a cycle.

        Raises:
            OSError: the request cannot be written; the trainer goes on waiting.
        """
        if self._trainer is None or self._trainer.exit_code() is not None:
            self._trainer = TrainerProcess(self._spoke, self._environment)
        self._trainer.give(folder, request)
        reached(Point.GIVEN)
        given, self._trainer = self._trainer, None
        return given

    def stop(self, grace: float) -> None:
        """End the waiting trainer, which is killed after `grace` seconds."""
        if self._trainer is not None:
            self._trainer.stop(grace)
        self._trainer = None


def trainer_environment(settings: Settings) -> dict[str, str]:
    """The part of our environment that trainers get."""
    cluster = "hopsworks" in {settings.feature_store.kind, settings.model_registry.kind}
    also = (*settings.trainer.environment, *variables_of_ray(os.environ, settings.engine))
    hidden = {"CUDA_VISIBLE_DEVICES": "-1"} if settings.device is Device.CPU else {}  # before a waiting one warms up
    return {**for_child(os.environ, cluster=cluster, also=also), **hidden}
