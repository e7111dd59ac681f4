"""What is laid over a source of listeners: one wave or two are put in, those of the source follow as before."""

from __future__ import annotations

from retrainer.demo.waves import Listeners, Wave
from schemas.features import Column


class Overlay:
    """Listeners as the source has them, but for `waves`, which whoever inherits tells.

    Args:
        source: the listeners.
        wave: number of the wave that is put in, from 1 on; ValueError where it is lower.
        seed: of what is drawn. The same arguments tell the same story.
    """

    def __init__(self, source: Listeners, wave: int, seed: int) -> None:
        if wave < 1:
            raise ValueError(f"wave must be at least 1, got {wave}")
        self._source = source
        self._wave = wave
        self._seed = seed

    @property
    def columns(self) -> tuple[Column, ...]:
        """See Listeners."""
        return self._source.columns

    @property
    def name(self) -> str:
        """See Listeners."""
        return self._source.name

    def initial(self) -> Wave:
        """See Listeners."""
        return self._source.initial()
