"""The bridge's memory, and what counts as a change of a row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from retrainer.bridge.errors import BridgeError
from retrainer.bridge.hashing import row_hashes
from retrainer.bridge.state import BridgeState
from schemas.features import Column, FeatureGroup
from stores.feature_store import FeatureRows, Floats
from stores.hopsworks.rows import Rows

GROUP = FeatureGroup(name="few", columns=(Column(name="taste", length=2), Column(name="year", length=1)))


def hash_of(taste: Floats | None, year: Floats | None) -> bytes:
    (found,) = row_hashes(["taste", "year"], FeatureRows(["u"], {"taste": [taste], "year": [year], "other": [None]}))
    return found


def floats(*numbers: float) -> Floats:
    return np.array(numbers, dtype=np.float32)


def test_equal_rows_have_equal_hashes_however_they_lie_in_memory() -> None:
    spread = np.array([1, 9, 2, 9], dtype=np.float32)[::2]
    assert hash_of(floats(1, 2), floats(3)) == hash_of(spread, floats(3))
    assert hash_of(floats(1, np.nan), None) == hash_of(floats(1, np.nan), None)


def test_whatever_differs_shows() -> None:
    rows: list[tuple[Floats | None, Floats | None]] = [
        (floats(1, 2), floats(3)),
        (floats(2, 1), floats(3)),
        (floats(1), floats(2, 3)),
        (floats(1, 2, 3), floats()),
        (floats(1, 2, 3), None),
        (floats(), floats(1, 2, 3)),
        (None, floats(1, 2, 3)),
        (floats(1, 2), floats(0)),
        (floats(1, 2), floats()),
        (floats(1, 2), None),
        (None, None),
        (floats(), floats()),
        (floats(1, np.nextafter(np.float32(2), np.float32(3))), floats(3)),
    ]
    assert len({hash_of(*row) for row in rows}) == len(rows)


def test_whatever_differs_of_a_label_shows() -> None:
    cells = [("follow", 1.0), ("follow", 2.0), ("block", 1.0), ("follow1", 0.0), ("follow", None), (None, "follow")]
    columns: list[dict[str, list[object]]] = [{"label": [label], "at": [at]} for label, at in cells]
    assert len({next(row_hashes(["label", "at"], Rows(["k"], given))) for given in columns}) == len(cells)


def test_it_remembers_over_a_restart(tmp_path: Path) -> None:
    with closing(BridgeState(tmp_path / "state.db")) as state:
        assert state.progress() is None
        state.begin(publishes=True)
        state.store([("a", b"1" * 16), ("b", b"2" * 16), ("c", b"3" * 16)])
        state.compared((7, 5), 12.5)
        state.store([("b", b"4" * 16)])
        state.remove([state.find(["a"])["a"].id])
        state.mark(["c", "d"])
    with closing(BridgeState(tmp_path / "state.db")) as state:
        progress = state.progress()
        assert progress is not None
        assert (progress.publishes, progress.commits, progress.users) == (True, (7, 5), 3)
        assert progress.compared_at == 12.5
        known = state.find(["a", "b", "c", "d", "e"])
        assert {key: user.hash for key, user in known.items()} == {"b": b"4" * 16, "c": b"", "d": b""}
        assert state.count() == 3
        state.begin(publishes=False)
        assert state.count() == 0
        assert state.progress() != progress


def test_more_users_than_a_query_takes_are_found_and_paged() -> None:
    state = BridgeState(Path(":memory:"))
    keys = [f"u{number}" for number in range(1234)]
    ids = state.store((key, b"x") for key in keys)
    assert {key: user.id for key, user in state.find(keys).items()} == dict(zip(keys, ids, strict=True))
    seen = []
    for page in state.everybody(100):
        seen += [key for _, key in page]
        state.remove(number for number, _ in page)
    assert seen == keys
    assert state.count() == 0


def test_a_file_that_is_none_of_ours_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(BridgeError, match=f"{path}: .* move it away"):
        BridgeState(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version=9")
    with pytest.raises(BridgeError, match="version 9"):
        BridgeState(path)
    with pytest.raises(BridgeError, match="cannot be used"):
        BridgeState(tmp_path / "no folder" / "state.db")
