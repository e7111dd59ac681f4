"""What is laid over an audience: one wave or two are put in, and those of the source follow as before."""

from __future__ import annotations

from retrainer.demo.waves import Audience, Wave
from schemas.features import Column


class Overlay:
    """The audience as the source has it, but for `waves`, which a subclass writes.

    Args:
        source: the audience.
        wave: number of the wave that is put in, from 1 on; ValueError where it is lower.
        seed: of what is drawn. The same arguments give the same story.
    """

    def __init__(self, source: Audience, wave: int, seed: int) -> None:
        if wave < 1:
            raise ValueError(f"wave must be at least 1, got {wave}")
        self._source = source
        self._wave = wave
        self._seed = seed

    @property
    def columns(self) -> tuple[Column, ...]:
        """See Audience."""
        return self._source.columns

    @property
    def name(self) -> str:
        """See Audience."""
        return self._source.name

    def initial(self) -> Wave:
        """See Audience."""
        return self._source.initial()
