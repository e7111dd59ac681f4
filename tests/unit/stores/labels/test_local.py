"""The local label store's own side: a commit and its events are one, and looking makes nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from schemas.events import Change, Operation, decode
from schemas.labels import LabelGroup, pair_text
from stores.errors import ContractError
from stores.features.local import LocalFeatureStore
from stores.labels.local import Label, LocalLabelStore
from tests.worlds import GROUP, World

LABELS = LabelGroup()


def test_every_change_leaves_an_event_that_the_listener_understands(tmp_path: Path) -> None:
    with closing(LocalLabelStore(tmp_path / "store.db", LABELS)) as store:
        store.commit({("a", "b"): Label("follow", 5.0), ("spotify:user:2", "ä"): Label(0, None)}, [("c", "d")])
        events = store.outbox()
        assert [decode(LABELS, event.key, event.value, dict(event.headers)) for event in events] == [
            Change(pair_text(("a", "b")), Operation.UPSERT),
            Change(pair_text(("spotify:user:2", "ä")), Operation.UPSERT),
            Change(pair_text(("c", "d")), Operation.DELETE),
        ]
        store.published(events[1].id)
        assert [event.id for event in store.outbox()] == [events[2].id]


def test_users_and_labels_lie_in_one_file_and_keep_their_events_apart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(LocalFeatureStore(path, GROUP)) as users, closing(LocalLabelStore(path, LABELS)) as labels:
        users.commit(World().rows(["a", "b"]))
        assert labels.outbox() == []
        with pytest.raises(ContractError, match=r"no table spotify_user_pair_labels_1 \(it has listeners_1\)"):
            labels.check_contract()
        labels.commit({("a", "b"): Label("follow", 5.0)})
        assert (users.count(), labels.count()) == (2, 1)
        assert (len(users.outbox()), len(labels.outbox())) == (2, 1)
        labels.published(labels.outbox()[-1].id)
        assert (len(users.outbox()), len(labels.outbox())) == (2, 0)


def test_looking_for_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with closing(LocalLabelStore(tmp_path / "not mounted" / "store.db", LABELS)) as store:
        assert store.outbox() == []
        with pytest.raises(ContractError, match="RETRAINER_FEATURE_STORE__PATH"):
            store.check_contract()
    assert not (tmp_path / "not mounted").exists()


def test_a_commit_that_names_nobody_or_weighs_where_there_is_no_column_writes_nothing(tmp_path: Path) -> None:
    with closing(LocalLabelStore(tmp_path / "store.db", LABELS)) as store:
        store.commit({})
        with pytest.raises(ContractError, match=r"\('a', ''\) is no pair of user ids"):
            store.commit({("a", "b"): Label(1, 5.0), ("a", ""): Label(1, 5.0)})
        with pytest.raises(ContractError, match="RETRAINER_LABELS__WEIGHT"):
            store.commit({("a", "b"): Label(1, 5.0, 2.0)})
        assert (store.count(), store.outbox()) == (0, [])
