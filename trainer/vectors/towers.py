"""The towers of a registered version, as its files hold them: raw rows in, unit vectors out (P7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from schemas.jobs.vectors import Tower
from schemas.manifest import CANDIDATE_TOWER_FILE, QUERY_TOWER_FILE
from stores.errors import RegistryError
from stores.feature_store import Floats
from stores.vectors.blocks import Hashes

_FILES = {Tower.QUERY: QUERY_TOWER_FILE, Tower.CANDIDATE: CANDIDATE_TOWER_FILE}


class Towers:
    """Some towers of one version. They travel to other machines as their files.

    Raises:
        RegistryError: a file does not load as a tower.
    """

    def __init__(self, folder: Path, wanted: Sequence[Tower]) -> None:
        self._folder = folder
        self._models = {tower: _load(folder / _FILES[tower]) for tower in wanted}
        self.dimension = int(next(iter(self._models.values())).output_shape[1])

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (tuple((tower.value, (self._folder / _FILES[tower]).read_bytes()) for tower in self._models),)

    def empty(self, users: int) -> dict[Tower, Floats]:
        """Room for the vectors of so many users, by tower."""
        return {tower: np.empty((users, self.dimension), np.float32) for tower in self._models}

    def embed(self, raw: Floats) -> Mapping[Tower, Floats]:
        """The vectors (users, dimension) of raw rows (users, width), by tower."""
        if not len(raw):
            return self.empty(0)  # Keras finds no largest number among none
        return {tower: np.asarray(model(raw, training=False)) for tower, model in self._models.items()}


@lru_cache(maxsize=1)
def _arrived(files: tuple[tuple[str, bytes], ...]) -> Towers:
    """The towers of these files, loaded once in a process."""
    with TemporaryDirectory() as folder:
        for tower, content in files:
            (Path(folder) / _FILES[Tower(tower)]).write_bytes(content)
        return Towers(Path(folder), [Tower(tower) for tower, _ in files])


def embed_rows(raw: Floats, common: Iterable[Towers]) -> Mapping[Tower, Floats]:
    """The vectors of raw rows by the only towers there are; a part of the work of `trainer.workers.Workers`."""
    (towers,) = common
    return towers.embed(raw)


def hashes_of(raw: Floats) -> Hashes:
    """(users,) a hash of 64 bits of each raw row."""
    whole = np.ascontiguousarray(raw)
    digests = b"".join(blake2b(row.data, digest_size=8).digest() for row in whole)
    return np.frombuffer(digests, np.uint64)


def _load(path: Path) -> Any:
    try:
        return keras.models.load_model(path, safe_mode=True, compile=False)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise RegistryError(f"{path.name} does not load as a tower: {error}") from error
