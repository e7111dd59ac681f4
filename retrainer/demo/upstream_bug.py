"""An upstream bug: one wave in which a job writes NaN where there were features, and the next in which it is mended.

The bug is laid over any audience. The rows come back as they were, so the waves after the bug build on what they
would have found without the bug.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from retrainer.demo.overlay import Overlay
from retrainer.demo.waves import Audience, Row, Wave, share

BUG_WAVE = 2
"""In which a demo's bug strikes; the next wave is the mended one."""

_STRUCK = 0.25  # share of the users who are there


class WithUpstreamBug(Overlay):
    """Listeners whose first column an upstream job spoils in one wave, and mends in the next.

    Two waves are put in; those of the source follow each other as before. The same arguments give the same story.

    Args:
        source: the audience.
        wave: number of the spoilt wave, from 1 on. A source with fewer waves than are to be before it has no bug.
        seed: of the draw of who is struck.
    """

    def __init__(self, source: Audience, wave: int = BUG_WAVE, seed: int = 0) -> None:
        super().__init__(source, wave, seed)

    def waves(self) -> Iterator[Wave]:
        """See Audience."""
        rows = dict(self._source.initial().upserts)
        source = self._source.waves()
        for _ in range(1, self._wave):
            if (wave := next(source, None)) is None:
                return
            rows = {user: row for user, row in {**rows, **wave.upserts}.items() if user not in wave.deletes}
            yield wave
        yield from self._bug(rows)
        yield from source

    def _bug(self, rows: Mapping[str, Row]) -> Iterator[Wave]:
        """The spoilt wave and the mended one, over the rows as they are by then."""
        users = list(rows)
        drawn = np.random.default_rng(self._seed).choice(len(users), share(len(users), _STRUCK), replace=False)
        struck = {users[at]: rows[users[at]] for at in np.sort(drawn)}
        column = self.columns[0].name
        spoilt = {user: {**row, column: _spoilt(row[column])} for user, row in struck.items()}
        yield Wave(f"an upstream bug writes NaN into {column} of {len(struck):,} listeners", spoilt)
        yield Wave(f"the bug is mended: {len(struck):,} listeners get their {column} back", struck)


def _spoilt(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every other number NaN: a data frame's column of nothing else would have no type, and not be written at all."""
    values = values.copy()
    values[::2] = np.nan
    return values
