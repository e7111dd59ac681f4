"""The process that computes vectors: started, listened to, stopped. This process loads neither NumPy nor TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from consumer.environment import for_child, variables_of_ray
from consumer.errors import ConsumerError
from consumer.ledger.cycles import Base
from consumer.settings import Settings
from schemas.jobs.vectors import Tower, VectorsRequest, VectorStamp

Tick = Callable[[int, int | None], None]

_LAST_WORDS = 4000  # bytes


class VectorsTrouble(ConsumerError):  # noqa: N818
    """No vectors were published; what was there before counts on."""


def request_of(
    settings: Settings,
    base: Base,
    version: int,
    out: Path,
    towers: Sequence[Tower] = tuple(Tower),
    *,
    changed_only: bool,
    feature_group: str | None = None,
) -> VectorsRequest:
    """What the process is asked for, where `base` is the champion and the last settled cycle."""
    return VectorsRequest(
        settings=settings.for_trainer(),
        version=version,
        champion=base.version,
        as_of=base.last_promoted_cycle,
        out=out.absolute(),
        towers=tuple(towers),
        changed_only=changed_only,
        feature_group=feature_group,
    )


class VectorsProcess:
    """One process, for one request. `stop` may be called from another thread."""

    def __init__(self, settings: Settings, request: VectorsRequest) -> None:
        also = (*settings.trainer.environment, *variables_of_ray(os.environ, settings.engine))
        self._words = TemporaryFile()  # noqa: SIM115  (closed by `answer`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainer.vectors"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=for_child(os.environ, cluster=settings.hopsworks is not None, also=also),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is gone, and `answer` will say so
            self._process.stdin.write(request.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, tick: Tick) -> VectorStamp:
        """Wait for the end; `tick` gets the users done, and about how many there are.

        Raises:
            VectorsTrouble: there is no set; the message says why.
        """
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        found: VectorStamp | None = None
        error: str | None = None
        try:
            for line in self._process.stdout:
                said = json.loads(line)
                if "stamp" in said:
                    found = VectorStamp.model_validate(said["stamp"])
                elif "error" in said:
                    error = str(said["error"])
                else:
                    tick(said["done"], said["of"])
            code = self._process.wait()
            if found is None:
                raise VectorsTrouble(error or f"the process that computes vectors ended with code {code}{self._last()}")
            return found
        finally:
            self.stop()
            self._process.stdout.close()
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            self._words.close()

    def stop(self) -> None:
        """End it at once, where it still runs: what is published is switched in one rename."""
        self._process.kill()
        self._process.wait()

    def _last(self) -> str:
        words: IO[bytes] = self._words
        words.seek(max(0, words.seek(0, os.SEEK_END) - _LAST_WORDS))
        lines = words.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""
