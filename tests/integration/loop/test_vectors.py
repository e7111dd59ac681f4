"""Vectors follow the champion of a running service, whatever is killed between promotion and publication (P10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.fault_points import Point
from schemas.jobs.vectors import Tower, VectorStamp, current_set, stamp_of
from schemas.log_events.service import VECTORS_PUBLISHED
from stores.vectors.parquet import ParquetFile
from stores.vectors.reader import VectorSet, holds
from stores.vectors.together import VectorsApart
from tests.integration.service import Service
from tests.waiting import wait_until
from tests.worlds import names

pytestmark = pytest.mark.full


@pytest.fixture
def service(tansu_address: str, tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, tansu_address, VECTORS__OUT=str(tmp_path / "vectors"))
    yield made
    made.close()


def test_vectors_follow_the_champion(service: Service, tmp_path: Path) -> None:
    out = tmp_path / "vectors"

    def published(version: int) -> VectorStamp | None:
        found = stamp_of(current_set(out))
        return found if found is not None and found.origin.version == version else None

    service.fill()
    refused = service.call("vectors", "--out", str(tmp_path / "early"))
    assert refused.returncode == 1
    service.start()
    first = wait_until(lambda: published(1), 120, "the vectors of version 1")
    assert first is not None
    assert (first.users, first.computed, first.made_from) == (400, 400, None)
    before = VectorSet.open(out)
    service.stop()

    service.wave(1)
    service.dies_at(Point.SETTLED)  # version 2 is champion, and nobody has heard of it
    assert published(1)
    service.start()
    second = wait_until(lambda: published(2), 120, "the vectors of version 2")
    assert second is not None
    towers_stay = second.origin.towers == 1
    assert (second.made_from is not None) == towers_stay
    if towers_stay:
        assert second.computed == 35
    gone = names(5, start=40 + 35)
    assert second.removed == 5
    wait_until(lambda: {holds(out, user) for user in gone} == {False}, 20, "the set before to be gone")
    assert holds(out, "u1010") is True

    found = VectorSet.open(out)
    assert found.nearest(found.query("u1"), 10).meeting.same
    if not towers_stay:
        with pytest.raises(VectorsApart, match=r"version 1 must not meet candidates of .*version 2"):
            found.nearest(before.query("u1"), 10)
    wait_until(lambda: service.status()["vectors"]["version"] == 2, 20, "the status")
    wait_until(
        lambda: [line["version"] for line in service.log() if line["event"] == VECTORS_PUBLISHED][-1] == 2, 20, "log"
    )
    assert "version 2, 400 users" in service.call("status").stdout

    file = tmp_path / "candidates.parquet"
    asked = service.call("vectors", "--version", "1", "--tower", "candidate", "--out", str(file), "--json")
    assert asked.returncode == 0, asked.stderr
    with closing(ParquetFile(file)) as read:
        assert read.stamp == VectorStamp.model_validate(json.loads(asked.stdout))
        assert (read.stamp.origin.version, read.towers, len(read)) == (1, [Tower.CANDIDATE], 400)
    again = service.call("vectors", "--changed-only")
    assert again.returncode == 0, again.stderr
    assert "version 2, 400 users, 128 numbers each" in again.stdout
    assert "\n0 computed, the others as in set-2-" in again.stdout
    for wrong in (("--out", str(tmp_path / "x.csv")), ("--tower", "both", "--out", str(tmp_path / "x.csv"))):
        assert service.call("vectors", *wrong).returncode == 2
    assert service.call("vectors", "--version", "99").returncode == 1
