"""Friendships beside a listening log become labels: some at once, some later, and none of somebody who is not there."""

from pathlib import Path

import pytest

from retrainer.demo.errors import DemoUsageError
from retrainer.demo.friends import friends_beside, read_friends
from retrainer.demo.lastfm import LastfmAudience


def test_a_friendship_is_read_once_in_whichever_direction_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "user_friends.dat"
    path.write_text("userID\tfriendID\n2\t275\n275\t2\n3\t3\n\n9\t10\n")
    assert read_friends(path) == [("2", "275"), ("10", "9")]
    assert friends_beside(tmp_path / "user_artists.dat") == path
    assert friends_beside(tmp_path / "elsewhere" / "user_artists.dat") is None


@pytest.mark.parametrize("line", ["2 275", "2\t", "2\t275\t1", "\t5"])
def test_what_is_no_file_of_friends_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "user_friends.dat"
    path.write_text(f"userID\tfriendID\n1\t2\n{line}\n")
    with pytest.raises(DemoUsageError, match="is not a file of two users a line, tab-separated: line 3"):
        read_friends(path)
    with pytest.raises(DemoUsageError, match="cannot read"):
        read_friends(tmp_path / "missing")


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, Path]:
    log, friends = tmp_path / "user_artists.dat", tmp_path / "user_friends.dat"
    log.write_text("".join(f"u{user}\ta{(user * 7 + at) % 300}\t{at + 1}\n" for user in range(300) for at in range(10)))
    pairs = "".join(f"u{user}\tu{(user + step) % 310}\n" for user in range(300) for step in (1, 5))  # ten are unknown
    friends.write_text(f"userID\tfriendID\n{pairs}")
    return log, friends


def test_friends_find_each_other_when_both_are_there_and_part_when_one_leaves(world: tuple[Path, Path]) -> None:
    log, friends = world
    source = LastfmAudience(log, 0, friends)
    begin = source.initial()
    there, follows = set(begin.upserts), set(begin.follows)
    assert 150 < len(follows) <= 240  # two fifths of six hundred, as far as both are there
    streamed = 0
    for wave in source.waves():
        there = (there | set(wave.upserts)) - set(wave.deletes)
        assert set(wave.unfollows) == {pair for pair in follows if not there.issuperset(pair)}
        follows = (follows - set(wave.unfollows)) | set(wave.follows)
        assert all(there.issuperset(pair) for pair in follows)
        streamed += len(wave.follows)
    assert streamed > 100


def test_without_a_file_of_friends_there_are_no_labels(world: tuple[Path, Path]) -> None:
    log, _ = world
    source = LastfmAudience(log, 0)
    assert not source.initial().follows
    assert not any(wave.follows or wave.unfollows for wave in source.waves())
