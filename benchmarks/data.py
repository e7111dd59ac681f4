"""The users that are mined: generated listeners, real ones enlarged, and two sets made to be hard.

Every set is unit rows of 301 numbers, the width of the seed's feature group, and the same for the same seed:

- `generated`: the demo's generated listeners, scaled as a cycle scales them;
- `lastfm`: real listeners, embedded as the demo embeds them but to 301 numbers. 1,892 are too few, so each user of the
  set keeps 60 to 90 % of the plays of a real one, and gets a tenth of another's;
- `isotropic`: uniformly random directions, so that no axis matters more than another and no bound prunes anything,
  with near-duplicates planted in every tenth row;
- `dense`: 25 clusters, so that about 3 % of all pairs are similar and the output is as long as the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Setup
from retrainer.demo.audience import GROUP, GeneratedAudience
from retrainer.demo.waves import Mix, Row
from schemas.features import FeatureGroup
from stores.feature_store import Floats
from trainer.matrix.scaling import fit_space, to_directions

WIDTH = FeatureGroup().width
_CHUNK = 5000
_ALL_ARE_NEW = Mix(changing=0.0, joining=1.0, leaving=1.0)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Users to mine, and what some of them become when they change."""

    name: str
    directions: Floats
    """(users, WIDTH) unit rows."""
    spare: Floats
    """(changes, WIDTH) unit rows of the same kind, which nobody in `directions` has."""
    threshold: float
    note: str


def data_sets(setup: Setup, users: int, changes: int) -> Iterator[DataSet]:
    """Every set there is, one after another, so that one at a time is in memory.

    The real listeners come twice, by the demo's threshold for them and by the default one; not at all where their log
    is absent, which `absent` says.
    """
    kinds: list[tuple[str, Callable[[], Floats], tuple[float, ...], str]] = [
        ("generated", lambda: generated(users + changes), (0.8,), "generated listeners"),
        ("isotropic", lambda: isotropic(users + changes), (0.8,), "random directions with planted near-duplicates"),
        ("dense", lambda: dense(users + changes), (0.8,), "25 clusters, about 3 % of all pairs similar"),
    ]
    if setup.lastfm is not None:
        log = setup.lastfm
        note = "real listeners, each enlarged to many: 60-90 % of one's plays and some of another's"
        kinds.insert(1, ("lastfm", lambda: lastfm(log, users + changes), (0.5, 0.8), note))
    for name, make, thresholds, note in kinds:
        rows = make()
        for threshold in thresholds:
            shown = name if len(thresholds) == 1 else f"{name}_{threshold}"
            told = f"{note}; similar above {threshold}"
            yield DataSet(shown, rows[:users], rows[users:], threshold, told)


def absent(setup: Setup) -> str:
    """What a note has to say of the sets that are not there; empty where all are."""
    return "" if setup.lastfm is not None else "; WITHOUT real listeners: their log is not at hand"


def raw_listeners(users: int, seed: int = 0) -> Iterator[dict[str, Row]]:
    """Generated listeners in chunks: features by user id, `users` in all, of which only a chunk is in memory.

    One source invents its artists once; a wave in which all leave and as many arrive gives the next chunk.
    """
    source = GeneratedAudience(_CHUNK, seed)
    rows = dict(source.initial().upserts)
    while users > 0:
        yield {user: rows[user] for user in list(rows)[:users]}
        users -= len(rows)
        rows = dict(source.change(_ALL_ARE_NEW).upserts) if users > 0 else {}


def generated(users: int, seed: int = 0, into: Floats | None = None) -> Floats:
    """Generated listeners as directions, in `into` (users, WIDTH) where given; scaled by the first chunk's year."""
    group = FeatureGroup(name=GROUP)
    found = np.empty((users, WIDTH), dtype=np.float32) if into is None else into
    space, done = None, 0
    for chunk in raw_listeners(users, seed):
        raw = np.stack([np.concatenate([row[column.name] for column in group.columns]) for row in chunk.values()])
        space = space or fit_space("benchmark", group, raw)
        found[done : done + len(raw)] = to_directions(space, group, raw)
        done += len(raw)
    return found


def isotropic(users: int, seed: int = 0) -> Floats:
    """Random directions; every tenth row is near another, at a cosine of 0.75 to 0.95."""
    draw = np.random.default_rng(seed)
    rows = unit(draw.standard_normal((users, WIDTH), dtype=np.float32))
    copies = np.arange(9, users, 10)
    near = draw.uniform(0.75, 0.95, size=(len(copies), 1)).astype(np.float32)
    originals = copies - draw.integers(1, 9, size=len(copies))
    rows[copies] = unit(near * rows[originals] + np.sqrt(1 - near * near) * rows[copies])
    return rows[draw.permutation(users)]


def dense(users: int, seed: int = 0, clusters: int = 25) -> Floats:
    """Clusters whose members lie at a cosine of 0.85 to 1 from the centre, so that many pairs are near the line."""
    draw = np.random.default_rng(seed)
    centres = unit(draw.standard_normal((clusters, WIDTH), dtype=np.float32))
    near = draw.uniform(0.85, 1.0, size=(users, 1)).astype(np.float32)
    away = unit(draw.standard_normal((users, WIDTH), dtype=np.float32))
    return unit(near * centres[draw.integers(clusters, size=users)] + np.sqrt(1 - near * near) * away)


def lastfm(log: Path, users: int, seed: int = 0) -> Floats:
    """Real listeners enlarged to `users`: log(1 + plays), TF-IDF, SVD, fitted on the real ones and then frozen."""
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    from retrainer.demo.listening_log import read_log

    real = list(read_log(log).values())
    numbers = {artist: at for at, artist in enumerate(sorted({artist for plays in real for artist in plays}))}
    artists = [np.array([numbers[artist] for artist in plays]) for plays in real]
    loudness = [np.log1p(np.array(list(plays.values()))) for plays in real]

    def matrix(parts: list[tuple[NDArray[Any], NDArray[Any]]]) -> csr_matrix:
        ends = np.cumsum([0, *(len(columns) for columns, _ in parts)])
        values, columns = (np.concatenate([part[at] for part in parts]) for at in (1, 0))
        return csr_matrix((values, columns, ends), shape=(len(parts), len(numbers)))

    recipe = make_pipeline(TfidfTransformer(), TruncatedSVD(WIDTH, random_state=0), Normalizer(copy=False))
    recipe.fit(matrix(list(zip(artists, loudness, strict=True))))
    draw = np.random.default_rng(seed)
    made: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for _ in range(users):
        one, other = draw.integers(len(real), size=2)
        kept = draw.random(len(artists[one])) < draw.uniform(0.6, 0.9)
        more = draw.random(len(artists[other])) < 0.1
        made.append(
            (
                np.concatenate([artists[one][kept], artists[other][more]]),
                np.concatenate([loudness[one][kept], loudness[other][more]]),
            )
        )
    found: Floats = recipe.transform(matrix(made)).astype(np.float32)
    return found


def mapped(path: Path, users: int, mode: Literal["r", "r+", "w+"]) -> np.memmap[Any, np.dtype[np.float32]]:
    """A matrix of users on disk, mapped into memory: made with mode "w+", read with "r", changed with "r+"."""
    return np.memmap(path, dtype=np.float32, mode=mode, shape=(users, WIDTH))


def unit(rows: Floats) -> Floats:
    """The rows, each brought to unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
