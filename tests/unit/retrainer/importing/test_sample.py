"""Generated users for whoever has no file: the same each time, never over a file that is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrainer.importing.errors import ImportRefused
from retrainer.importing.layout import found_in
from retrainer.importing.sample import LENGTH, TASTES, USERS, write_sample
from retrainer.importing.sources import first_rows, source
from tests.commands import call


def test_it_is_a_file_that_an_import_takes_with_users_near_their_tastes(tmp_path: Path) -> None:
    write_sample(tmp_path / "users.csv")
    write_sample(tmp_path / "again.csv")
    assert (tmp_path / "users.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    rows = first_rows(source(tmp_path / "users.csv", ("user_id",)))
    (taste,) = found_in(rows, "user_id")
    assert (taste.name, taste.length, len(rows)) == ("taste", LENGTH, USERS)
    matrix = np.array([rows.columns[column] for column in taste.columns], dtype=float).T
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    alike = (matrix @ matrix.T)[~np.eye(USERS, dtype=bool)].reshape(USERS, -1)
    of_taste = alike > 0.8
    assert 5 < of_taste.sum(axis=1).mean() < USERS / TASTES, "some users are similar, and by far not all"


def test_a_file_that_is_there_and_a_name_that_is_no_csv_are_refused(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("mine")
    with pytest.raises(ImportRefused, match="is there already; --from"):
        write_sample(tmp_path / "users.csv")
    assert (tmp_path / "users.csv").read_text() == "mine"
    with pytest.raises(ImportRefused, match=r"ends in \.csv"):
        write_sample(tmp_path / "users.parquet")


def test_init_writes_the_users_and_the_settings_that_fit_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    called = call("init", "files", "--sample", "users.csv", "--trial")
    assert called.code == 0, called.err
    assert "retrainer import users.csv" in called.out
    assert "length = 16" in (tmp_path / "retrainer.toml").read_text()
    again = call("init", "files", "--sample", "other.csv")
    assert (again.code, "is there already" in again.err) == (2, True)
    assert not (tmp_path / "other.csv").exists(), "nothing is left where nothing was begun"
    both = call("init", "files", "--sample", "a.csv", "--from", "users.csv", "--out", "b.toml")
    assert (both.code, "give one of them" in both.err) == (2, True)
