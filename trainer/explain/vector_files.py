"""Whether files with published vectors name a user: Parquet by any of its text columns, NumPy by its texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from schemas.jobs.explanation import Found, Trace

_WAY_OUT = "publish the vectors of the champion again, and remove this file"
_FORMATS = ("*.parquet", "*.npy", "*.npz")


def trace_of_vectors(folder: Path, user: str) -> Trace:
    """What was seen in the files of a folder, however deep they lie."""
    place = f"vectors in {folder}"
    paths = sorted(path for form in _FORMATS for path in folder.rglob(form))
    rows, naming = 0, []
    for path in paths:
        try:
            looked, named = _of_parquet(path, user) if path.suffix == ".parquet" else _of_numpy(path, user)
        except (OSError, ValueError) as error:
            why = f"{path.name} cannot be read: {error}"
            return Trace(place=place, found=Found.UNKNOWN, evidence=why, way_out="mend or remove it")
        rows += looked
        if named:
            naming.append(str(path.relative_to(folder)))
    looked_at = f"{rows:,} rows in {len(paths)} files"
    if naming:
        evidence = f"looked at {looked_at}: {', '.join(naming)} name it"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=_WAY_OUT)
    return Trace(place=place, found=Found.ABSENT, evidence=f"looked at {looked_at}: not there")


def _of_parquet(path: Path, user: str) -> tuple[int, bool]:
    """The number of rows, and whether one of them names the user."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        texts = [
            one.name for one in file.schema_arrow if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)
        ]
        named = False
        for batch in file.iter_batches(columns=texts) if texts else ():
            named = named or any(pc.any(pc.equal(column, user)).as_py() for column in batch.columns)
        return file.metadata.num_rows, named


def _of_numpy(path: Path, user: str) -> tuple[int, bool]:
    found = np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix == ".npy" else None)
    arrays = [found] if path.suffix == ".npy" else [found[name] for name in found.files]
    named = any(bool((array == user).any()) for array in arrays if array.dtype.kind == "U")
    return max((len(array) for array in arrays if array.ndim), default=0), named
