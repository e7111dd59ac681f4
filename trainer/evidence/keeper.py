"""Gathers the evidence of one cycle while it runs, and writes it at the end. Never fails a cycle.

Whatever goes wrong here is told on standard error, and the report has one part less.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from schemas.cycle import CycleRequest, CycleResult
from schemas.evidence import EpochFigures, Evidence, Interval, ModelEvidence, ModelName, Neighbourhood
from stores.hopsworks.secrets import redacted
from trainer.evidence.curves import model_evidence
from trainer.evidence.files import read_evidence, write_evidence
from trainer.evidence.intervals import intervals
from trainer.evidence.neighbourhoods import neighbourhoods
from trainer.evidence.page_process import PageProcess
from trainer.exam.evaluate import Score
from trainer.gate.contest import Examined
from trainer.learning.training_state import Epoch
from trainer.matrix.embeddings import Rows

_NAMES: tuple[ModelName, ...] = ("challenger", "champion")


class EvidenceKeeper:
    """The evidence of the cycle of `request`; keeps nothing where the settings name no folder, or keep no reports."""

    def __init__(self, request: CycleRequest) -> None:
        settings = request.settings
        self._request = request
        self._folder = settings.reports_dir
        self.wanted = (
            self._folder is not None and settings.reports.keep > 0 and not (request.lookup_only or request.only_probe)
        )
        """Whether anything is kept."""
        self._epochs: list[EpochFigures] = []
        self._models: dict[ModelName, ModelEvidence] = {}
        self._intervals: tuple[Interval, ...] = ()
        self._neighbourhoods: tuple[Neighbourhood, ...] = ()
        self._page: PageProcess | None = None

    def on_epoch(self, epoch: Epoch) -> None:
        """Note an epoch."""
        with self._harmless():
            self._epochs.append(
                EpochFigures(
                    number=epoch.number,
                    fit=epoch.fit,
                    loss=epoch.loss,
                    train_accuracy=epoch.train_accuracy,
                    dev_accuracy=epoch.dev_accuracy,
                    dev_recall=epoch.dev_recall,
                    dev_auc=epoch.dev_auc,
                    dev_recall_at_50=epoch.dev_recall_at_50,
                )
            )

    def examined(self, seen: Examined, keys_of: Callable[[Rows], dict[int, str]], seed: int) -> None:
        """Note what the exam has shown of challenger and champion.

        Args:
            seen: exam and scores.
            keys_of: gives the users of rows of the matrix.
            seed: of the bootstrap.
        """
        if not self.wanted:
            return
        with self._harmless():
            if "challenger" in seen.scores and self._request.settings.reports.html:
                self._page = PageProcess()  # for the version that there may be
            scores: dict[ModelName, Score] = {name: seen.scores[name] for name in _NAMES if name in seen.scores}
            self._models = {name: model_evidence(score, seen.exam.pairs) for name, score in scores.items()}
            asked = None if seen.outcomes is None else seen.outcomes.asked
            self._intervals = intervals(scores, seen.exam.queries, asked, seen.slices, seed)
            self._neighbourhoods = neighbourhoods(scores, seen.exam, keys_of, frozenset(self._request.users))

    def page(self, result: CycleResult) -> PageProcess | None:
        """Begin to draw the page of a version that is about to be registered; None where no page is wanted."""
        with self._harmless():
            if self._page is not None:
                work = self._request.settings.work_dir / "cycles" / self._request.cycle_id
                self._page.draw(self._evidence(result), work / "page")
                return self._page
        return None

    def write(self, result: CycleResult) -> None:
        """Write the evidence. A repeated cycle that only finds its version keeps what was seen before."""
        if not self.wanted or self._folder is None:
            return
        with self._harmless():
            evidence = self._evidence(result)
            if not (self._epochs or self._models):
                earlier = read_evidence(self._folder / result.cycle_id)
                if earlier is not None and earlier.result.gate == result.gate:
                    evidence = earlier.model_copy(update={"result": result})
            write_evidence(self._folder, evidence, self._request.settings.reports.keep)

    def close(self) -> None:
        """End what was begun and is not needed any more."""
        if self._page is not None:
            self._page.end()

    def _evidence(self, result: CycleResult) -> Evidence:
        request = self._request
        return Evidence(
            model_name=request.settings.model_name,
            cycle_id=request.cycle_id,
            kind=request.kind,
            reason=request.reason,
            written_at=datetime.now(UTC),
            lineage=request.lineage,
            threshold=request.settings.pairs.similarity_threshold,
            result=result,
            epochs=tuple(self._epochs),
            models=self._models,
            intervals=self._intervals,
            neighbourhoods=self._neighbourhoods,
            versions=request.earlier_versions,
        )

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception:  # noqa: BLE001  (a report is no reason to lose a cycle)
            print(redacted(traceback.format_exc()), file=sys.stderr)
