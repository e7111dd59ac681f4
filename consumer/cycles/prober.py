"""The prober: a trainer scores the champion on what is pending, and the answer is put on record. Nothing is claimed.

A probe that fails, or takes too long, is on record as failed, and the next probe waits as long as after any other. A
probe that is cut short by a crash leaves nothing and is made again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from consumer.cycles.leadership import Leadership
from consumer.cycles.trainer_process import TrainerProcess, result_in
from consumer.cycles.warm_trainer import WarmTrainer
from consumer.ledger.ledger import Ledger
from consumer.ledger.probes import Probed
from consumer.settings import Settings
from schemas.cycle import CycleKind, CycleRequest, Lineage, Outcome
from schemas.log_events.cycles import PROBE_ENDED, PROBE_FAILED, PROBE_STARTED

log = structlog.get_logger()

PROBE_ID = "probe"
_TAKES = 300.0  # seconds, at most


class Prober:
    """Makes one probe at a time. `tick` moves it on and never waits.

    Args:
        settings: what the trainer is given.
        ledger: where probes are on record.
        leadership: the lease, held while anything is begun or ticked.
        warm: the trainer that is ready.
        clock: seconds of a clock that nobody sets, for the timing of probes. Times that are passed in are wall times.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        leadership: Leadership,
        warm: WarmTrainer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._leadership = leadership
        self._warm = warm
        self._clock = clock
        self._trainer: TrainerProcess | None = None
        self._probed: Probed | None = None
        self._changes = 0
        self._since = 0.0

    @property
    def busy(self) -> bool:
        """Whether a probe is under way."""
        return self._trainer is not None

    @property
    def _folder(self) -> Path:
        return self._settings.work_dir / PROBE_ID

    def begin(self) -> None:
        """Ask the champion about the pending users and labels."""
        base = self._ledger.cycles.base()
        users, labels, self._changes = self._ledger.probes.pending()
        request = CycleRequest(
            cycle_id=PROBE_ID,
            kind=CycleKind.INCREMENTAL,
            reason="a probe of what is pending",
            base_version=base.version,
            users=users,
            labels=labels,
            last_promoted_cycle=base.last_promoted_cycle,
            fence=self._leadership.fence,
            only_probe=True,
            lineage=Lineage(offsets={}, changed_users=len(users), changed_labels=len(labels)),
            settings=self._settings.for_trainer(),
        )
        self._trainer, self._since = self._warm.give(self._folder, request), self._clock()
        log.info(PROBE_STARTED, users=len(users), labels=len(labels), version=base.version)

    def tick(self, now: float) -> None:
        """Put the answer on record once it is there."""
        if self._trainer is None:
            return
        self._trainer.progress()  # read and dropped
        if self._probed is not None:
            self._record(self._probed)
        elif self._trainer.exit_code() is not None:
            self._end(now)
        elif self._clock() - self._since > _TAKES:
            self._trainer.kill()
            self._record(Probed(now, None, self._changes, None, f"took longer than {_TAKES:g} s"))

    def stop(self, grace: float) -> None:
        """Give up what is under way."""
        if self._trainer is not None:
            self._trainer.stop(grace)
        self._trainer = self._probed = None

    def _end(self, now: float) -> None:
        assert self._trainer is not None
        result = result_in(self._folder)
        report = result.probe if result is not None and result.outcome is Outcome.PROBED else None
        if report is not None:
            self._record(Probed(now, report.version, self._changes, report.regret, report.summary, report.error))
            return
        words = result.reason if result is not None else self._trainer.last_words() or "the trainer gave no answer"
        self._record(Probed(now, None, self._changes, None, words.splitlines()[-1]))

    def _record(self, probed: Probed) -> None:
        self._probed = probed  # where the ledger does not answer, the next tick records the same answer again
        self._ledger.probes.record(probed, fence=self._leadership.fence)
        self._trainer = self._probed = None
        shutil.rmtree(self._folder, ignore_errors=True)
        if probed.version is None:
            log.warning(PROBE_FAILED, reason=probed.told)
        else:
            log.info(PROBE_ENDED, version=probed.version, regret=probed.regret, told=probed.told)
