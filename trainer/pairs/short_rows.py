"""The bounds of a space on disk: the frame, and the short row of every row of the user matrix, mapped and kept current.

    short.bin    (rows, m + 1) short rows (`trainer.pairs.bounds`); not there where they are the directions
    frame.npz    the frame, and how many short rows there are; written last, so that short rows without it are made anew

A frame is chosen when all pairs are mined and stays until they are mined again; drifting users make its bounds less
tight, never wrong.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from stores.files import lengthen, replacing
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds, Frame
from trainer.pairs.bounds_tuning import choose_frame
from trainer.pairs.precision import Numbers, Stored, fast_numbers

_SHORT_FILE = "short.bin"
_FRAME_FILE = "frame.npz"
_ROWS_AT_A_TIME = 65_536


class ShortRows:
    """The short rows of one space, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._short = folder / _SHORT_FILE
        self._frame = folder / _FRAME_FILE

    def anew(self, directions: Floats, everyone: Rows, policy: PairPolicy) -> Bounds:
        """The bounds of a matrix (capacity, width) by a frame chosen for the users in the rows of `everyone`."""
        frame = choose_frame(directions, everyone, policy.similarity_threshold, policy.max_positives_per_user)
        self._frame.unlink(missing_ok=True)
        self._short.unlink(missing_ok=True)
        return self._written(directions, frame, np.arange(len(directions)))

    def current(self, directions: Floats, changed: Rows, everyone: Rows, policy: PairPolicy) -> Bounds:
        """The bounds after the rows of `changed` were written or freed.

        Made anew where they are missing, damaged, or of numbers that this machine does not multiply well.
        """
        try:
            with np.load(self._frame, allow_pickle=False) as stored:
                frame, rows = Frame(stored["axes"], Numbers(str(stored["numbers"]))), int(stored["rows"])
            held = 0 if frame.is_plain else self._short.stat().st_size
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            return self.anew(directions, everyone, policy)
        least = 0 if frame.is_plain else rows * frame.short_width * frame.numbers.dtype.itemsize
        if len(frame.axes) != directions.shape[1] or held < least or frame.numbers not in fast_numbers():
            return self.anew(directions, everyone, policy)
        return self._written(directions, frame, changed, held=rows)

    def _written(self, directions: Floats, frame: Frame, changed: Rows, held: int = -1) -> Bounds:
        """The bounds once the short rows of `changed` are written, and the file is as long as the matrix."""
        short = directions if frame.is_plain else self._kept(directions, frame, changed)
        if held != len(directions):
            with replacing(self._frame) as file:
                np.savez(file, axes=frame.axes, numbers=np.array(frame.numbers.value), rows=np.int64(len(directions)))
        return frame.bounds(short)

    def _kept(self, directions: Floats, frame: Frame, changed: Rows) -> Stored:
        shape = (len(directions), frame.short_width)
        lengthen(self._short, shape[0] * shape[1] * frame.numbers.dtype.itemsize)
        short = np.memmap(self._short, dtype=frame.numbers.dtype, mode="r+", shape=shape)
        for start in range(0, len(changed), _ROWS_AT_A_TIME):
            part = changed[start : start + _ROWS_AT_A_TIME]
            short[part] = frame.shorten(directions[part])
        short.flush()
        return short
