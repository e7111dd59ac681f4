"""The double serves the unmodified SDK: what is put in comes out of every door."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hopsworks_double.clients.sdk import Client, by_key, cluster_with, vectors
from tests.worlds import GROUP, World, names

AWKWARD = ["it's", 'say "hi"', "back\\slash", "50%", "a;b", "ö", "spotify:user:1", ""]


@pytest.mark.parametrize("element", ["double", "float"])
def test_every_door_gives_the_same_rows(tmp_path: Path, element: str) -> None:
    with cluster_with(tmp_path, element=element) as client:
        rows: dict[str, Any] = World().rows(names(20))
        rows["u3"] = {"taste": None, "habit": [0.1, -0.0, math.inf, 1e300 if element == "double" else 1e30, 5.0]}
        client.double.store.put(rows)
        held = dict(client.double.store.online)
        assert held["u3"]["taste"] is None
        assert client.offline() == held == client.online(names(20))
        by_rest = vectors(client.view(), names(20))
        assert by_rest == {user: list(row.values()) for user, row in held.items()}
        view = client.store.get_feature_view("listeners_retrainer", version=1)
        view.init_serving(1)
        assert vectors(view, names(20)) == by_rest


def test_not_a_number_survives(client: Client) -> None:
    client.double.store.put({"u1": {"taste": [math.nan] * 8, "habit": [0] * 5, "year": 1999}})
    for row in (client.offline()["u1"], client.online(["u1"])["u1"]):
        assert np.isnan(row["taste"] or []).tolist() == [True] * 8
        assert row["year"] == [1999.0]
    assert np.isnan(vectors(client.view(), ["u1"])["u1"][0]).all()


def test_absent_keys_are_absent_everywhere(client: Client) -> None:
    client.double.store.put({}, ["u1"])
    assert client.online(["u0", "u1", "who"]).keys() == {"u0"}
    assert vectors(client.view(), ["u0", "u1", "who"]).keys() == {"u0"}
    assert "u1" not in client.offline()


def test_awkward_keys_are_found_by_every_door(client: Client) -> None:
    client.double.store.put(World().rows(AWKWARD))
    group = client.group
    assert client.online(AWKWARD).keys() == set(AWKWARD)
    assert client.offline(group.filter(group.user_id.isin(AWKWARD))).keys() == set(AWKWARD)
    assert vectors(client.view(), AWKWARD).keys() == set(AWKWARD)


def test_filters_hold_in_both_stores(client: Client) -> None:
    group = client.group
    user = group.user_id
    for condition, expected in [
        (user == "u1", {"u1"}),
        ((user == "u1") | (user == "u2"), {"u1", "u2"}),
        (user.isin(["u1", "u2"]) & user.isin(["u2", "u3"]), {"u2"}),
        ((user == "u1") & (user == "u2"), set()),
        (((user == "u1") | (user == "u2")) & user.isin(names(9, start=2)), {"u2"}),
    ]:
        assert client.offline(group.filter(condition)).keys() == expected
        assert set(group.filter(condition).read(online=True)["user_id"]) == expected


def test_thousands_of_keys_are_one_offline_query(client: Client) -> None:
    client.double.store.put(World(group=GROUP).rows(names(9000)))
    group = client.group
    assert client.offline(group.filter(group.user_id.isin(names(5000)))).keys() == set(names(5000))


def test_some_columns_are_enough(client: Client) -> None:
    rows = client.offline(client.group.select(["user_id", "year"]))
    assert rows["u4"] == {"year": client.double.store.offline["u4"]["year"]}


def test_an_offline_read_is_one_moment_however_slowly_it_is_read(client: Client) -> None:
    rows = World().rows(names(10_000))
    client.double.store.put(rows)
    before = dict(client.double.store.offline)
    with client.group.select_all().read_batches() as batches:
        read = by_key(next(batches).to_pylist(), GROUP)
        client.double.store.put(World(seed=1).rows(names(10_000)), names(100, start=9900))
        for batch in batches:
            assert batch.num_rows <= 4096
            read |= by_key(batch.to_pylist(), GROUP)
    assert read == before


def test_online_batches_stream_with_arrays_as_stored(client: Client) -> None:
    with client.group.select_all().read_batches(online=True, batch_size=7) as batches:
        sizes: list[int] = []
        rows: dict[str, Any] = {}
        for batch in batches:
            sizes.append(batch.num_rows)
            rows |= by_key(batch.to_pylist(), GROUP)
    assert sizes == [7, 7, 6]
    assert client.double.cluster.codec.values(rows["u5"]["taste"]) == client.double.store.online["u5"]["taste"]


def test_the_offline_store_lags_until_it_is_materialized(client: Client) -> None:
    store = client.double.store
    store.put_online(World(seed=1).rows(["u1", "new"]), ["u2"])
    assert client.offline().keys() == set(names(20))
    assert client.offline()["u1"] != store.online["u1"]
    store.materialize()
    assert client.offline() == dict(store.online)
    newest = store.commits[-1]
    assert (newest.inserted, newest.updated, newest.deleted) == (1, 1, 1)
