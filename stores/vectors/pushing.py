"""Brings an index what a vector set holds: changes alone while the towers stay, and else a new space, then the switch.

What the index has is noted beside the sets: `pushed.json` names the set and the version of the group, and a file of ids
and row hashes tells the next push what has changed. The note is taken away while something is written. Where it is
missing, so also after a kill, or the index is not as it says, nobody knows what is there, and a new space is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from schemas.jobs.vectors import PUSHED_FILE, VectorStamp
from stores.files import replacing
from stores.vectors.blocks import BLOCK, VectorBlock
from stores.vectors.changes import Earlier
from stores.vectors.index import IndexSpace, VectorIndex
from stores.vectors.parquet import ParquetFile, VectorsDamaged
from stores.vectors.sets import SetFiles
from stores.vectors.single import SingleWriter
from stores.vectors.together import same_towers

_IDS_FILE = ".pushed.parquet"


def push(index: VectorIndex, group: str, folder: Path) -> IndexSpace:
    """Bring the index the vectors of the set in `folder`; gives the space that counts then.

    Raises:
        StoreError: the index could not be written. What counted before still counts.
    """
    out = folder.parent
    with closing(SetFiles(folder)) as files:
        spaces = index.spaces()
        space = _known(out, group, files.stamp, spaces)
        (out / PUSHED_FILE).unlink(missing_ok=True)
        created = space is None
        if space is None:
            for left in spaces:
                if not left.complete:
                    index.delete(left)  # of a push that was killed
            space = index.create(files.stamp.origin, files.stamp.dimension)
            _write(index, space, files, out, None)
        else:
            with closing(ParquetFile(out / _IDS_FILE)) as before:
                _write(index, space, files, out, before)
        index.complete(space, files.stamp.origin)
    with replacing(out / PUSHED_FILE) as file:
        noted = {"group": group, "number": space.number, "set": folder.name}
        file.write(json.dumps(noted).encode())
    stays = created and files.stamp.removed == 0  # the one before, for servers that have not looked yet
    ours = [one for one in index.spaces() if one.complete and one.origin is not None and one.number < space.number]
    for old in ours[:-1] if stays else ours:
        index.delete(old)
    return space


def _known(out: Path, group: str, stamp: VectorStamp, spaces: Sequence[IndexSpace]) -> IndexSpace | None:
    """The space that the last push has written, where it has the same towers and still counts."""
    with suppress(OSError, ValueError, KeyError, TypeError, VectorsDamaged):
        noted = json.loads((out / PUSHED_FILE).read_bytes())
        ParquetFile(out / _IDS_FILE).close()
        newest = max((one for one in spaces if one.complete), key=lambda one: one.number, default=None)
        if newest is None or newest.origin is None or (noted["group"], noted["number"]) != (group, newest.number):
            return None
        return newest if same_towers(newest.origin, stamp.origin) else None
    return None


def _write(index: VectorIndex, space: IndexSpace, files: SetFiles, out: Path, before: ParquetFile | None) -> None:
    """Write what differs from `before`, and note the ids that the index has then."""
    earlier = Earlier(before, usable=True, names=True) if before is not None else None
    ids = SingleWriter(out / _IDS_FILE, (), files.stamp.dimension)
    waiting: list[VectorBlock] = []
    try:
        for block in files.blocks():
            same = earlier.unchanged(block.users, block.hashes, {}) if earlier else np.zeros(len(block.users), bool)
            if not same.all():
                waiting.append(_some(block, ~same))
            if sum(len(part.users) for part in waiting) >= BLOCK:
                index.upsert(space, _joined(waiting))
                waiting = []
            ids.add(VectorBlock(block.users, {}, block.hashes))
        if waiting:
            index.upsert(space, _joined(waiting))
        if earlier is not None:
            earlier.rest()
            for at in range(0, len(earlier.gone), BLOCK):
                index.remove(space, earlier.gone[at : at + BLOCK])
        ids.finish(files.stamp)
    finally:
        ids.drop()


def _joined(parts: Sequence[VectorBlock]) -> VectorBlock:
    """Few users of many blocks in one, as each write to a cluster costs some requests."""
    return VectorBlock(
        [user for part in parts for user in part.users],
        {tower: np.concatenate([part.vectors[tower] for part in parts]) for tower in parts[0].vectors},
        np.concatenate([part.hashes for part in parts]),
    )


def _some(block: VectorBlock, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> VectorBlock:
    users = [user for user, well in zip(block.users, which.tolist(), strict=True) if well]
    return VectorBlock(users, {tower: rows[which] for tower, rows in block.vectors.items()}, block.hashes[which])
