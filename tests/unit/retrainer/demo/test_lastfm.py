"""A listening log becomes embeddings by a frozen recipe, and its own held-back rows become waves."""

from pathlib import Path

import numpy as np
import pytest

from retrainer.demo.errors import DemoUsageError
from retrainer.demo.lastfm import COLUMNS, LastfmAudience
from retrainer.demo.listening_log import read_log
from retrainer.demo.waves import Row

NAME = COLUMNS[0].name
USERS, ARTISTS = 300, 400


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up log: twenty scenes, each with artists of its own; everybody listens to one scene, mostly."""
    draw = np.random.default_rng(0)
    lines = ["userID\tartistID\tweight"]
    for user in range(USERS):
        own = draw.choice(np.arange(user % 20, ARTISTS, 20), size=12, replace=False)
        other = draw.choice(ARTISTS, size=3, replace=False)
        lines += [f"u{user}\ta{artist}\t{draw.integers(1, 2000)}" for artist in {*own.tolist(), *other.tolist()}]
    path = tmp_path_factory.mktemp("log") / "plays.dat"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_are_unit_vectors_of_one_column(log: Path) -> None:
    assert [(column.name, column.length) for column in COLUMNS] == [("listening_embedding", 100)]
    for row in LastfmAudience(log).initial().upserts.values():
        assert row.keys() == {NAME}
        assert row[NAME].shape == (100,)
        assert row[NAME].dtype == np.float32
        assert np.linalg.norm(row[NAME]) == pytest.approx(1, abs=1e-5)


def test_listeners_of_one_scene_are_closer_than_others(log: Path) -> None:
    rows = LastfmAudience(log).initial().upserts
    scene = {user: int(user[1:]) % 20 for user in rows}
    users = list(rows)
    cosine = np.stack([rows[user][NAME] for user in users]) @ np.stack([rows[user][NAME] for user in users]).T
    same = np.array([[scene[one] == scene[other] and one != other for other in users] for one in users])
    assert cosine[same].mean() > cosine[~same & ~np.eye(len(users), dtype=bool)].mean() + 0.3


def test_neither_an_obsession_nor_what_everybody_plays_hides_a_taste(tmp_path: Path) -> None:
    """Forty scenes of six listeners, who all play the five artists of their scene, and one that everybody plays."""
    lines = [f"u{user}\teverybodys\t50" for user in range(240)]
    lines += [f"u{user}\tscene {user % 40} artist {artist}\t50" for user in range(240) for artist in range(5)]
    lines += ["u0\tobsession\t1000000"]
    path = tmp_path / "plays.dat"
    path.write_text("\n".join(lines) + "\n")
    row = {user: values[NAME] for user, values in LastfmAudience(path)._rows(read_log(path)).items()}
    assert float(row["u1"] @ row["u41"]) > 0.95
    assert float(row["u1"] @ row["u2"]) < 0.05  # 0.17 if common artists counted like others
    assert float(row["u0"] @ row["u40"]) > 0.3  # nothing would be left of it if plays were not taken by their log


def test_waves_bring_held_back_rows_newcomers_and_leavers(log: Path) -> None:
    listeners = LastfmAudience(log)
    there: dict[str, Row] = dict(listeners.initial().upserts)
    assert len(there) < USERS
    brought = [0, 0, 0]
    for wave in listeners.waves():
        new = wave.upserts.keys() - there.keys()
        assert len(new) == wave.newcomers
        assert set(wave.deletes) <= there.keys()
        for user in wave.upserts.keys() - new:  # more of the same taste, not another one
            assert 0.3 < float(there[user][NAME] @ wave.upserts[user][NAME]) < 0.9999
        there = {user: row for user, row in {**there, **wave.upserts}.items() if user not in wave.deletes}
        brought = [
            brought[0] + wave.changed,
            brought[1] + wave.newcomers,
            brought[2] + len(wave.deletes),
        ]
    assert all(brought)
    assert len(there) == USERS - brought[2]  # in the end all of the log has arrived


def test_the_recipe_is_frozen_so_others_rows_change_nobody(log: Path) -> None:
    """What a user's row is does not depend on who came in between."""
    listeners = LastfmAudience(log)
    listeners.initial()
    last = list(listeners.waves())[-1]
    user = next(iter(last.upserts))
    again = LastfmAudience(log)
    assert np.array_equal(again._rows({user: again._log[user]})[user][NAME], last.upserts[user][NAME])


def test_the_same_file_and_seed_tell_the_same_story(log: Path) -> None:
    one, other = LastfmAudience(log, seed=3), LastfmAudience(log, seed=3)
    assert np.array_equal(
        np.stack([row[NAME] for row in one.initial().upserts.values()]),
        np.stack([row[NAME] for row in other.initial().upserts.values()]),
    )
    assert [(w.title, list(w.upserts), w.deletes) for w in one.waves()] == [
        (w.title, list(w.upserts), w.deletes) for w in other.waves()
    ]
    assert set(LastfmAudience(log, seed=4).initial().upserts) != set(one.initial().upserts)


def test_a_log_may_have_names_more_fields_and_a_few_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "plays.tsv"
    good = [f"u{user}\tmb-id\tSome Artist {user}\t3" for user in range(60)]
    path.write_bytes(
        "\r\n".join(["user\tid\tartist\tplays", *good, "u1\tmb-id\tSome Artist 1\t4", "u2\tx\t-1"]).encode()
    )
    log = read_log(path, min_users=1)
    assert len(log) == 60
    assert log["u1"] == {"mb-id\tSome Artist 1": 7}
    assert len(log["u2"]) == 1


def test_a_log_without_a_line_of_names_keeps_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "plays.tsv"
    path.write_text("2\t51\t13883\n2\t52\t11690\n")
    assert read_log(path, min_users=1) == {"2": {"51": 13883, "52": 11690}}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "it has no rows"),
        ("user,artist,plays\n1,2,3\n1,3,4\n", "2 of 2 rows are something else, the first is line 2: '1,2,3'"),
        ("1\t2\tnan\n1\t2\tinf\n\t2\t3\n1\t\t3\n1\t2\t0\n", "the first is line 2: '1.t2.tinf'"),
        ("1\t2\t3\n2\t2\t3\n", "2 users and 1 artists; the demo needs 200 and 1"),
    ],
)
def test_a_file_that_is_no_log_is_refused_in_words(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "thing.dat"
    path.write_text(content)
    with pytest.raises(DemoUsageError, match=complaint):
        read_log(path)


def test_a_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DemoUsageError, match=r"cannot read .*: No such file"):
        read_log(tmp_path / "none")
