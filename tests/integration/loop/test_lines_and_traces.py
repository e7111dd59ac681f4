"""Cycles of a real service, followed by its log lines and by its traces."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from schemas.log_events.cycles import CYCLE_ENDED, CYCLE_STARTED, CYCLE_STEP, TRAINER_FAILED, TRAINER_SAYS
from schemas.log_events.deployment import EXPORTED
from schemas.log_events.model_events import MODEL_EVENT_SENT
from schemas.log_events.promotions import CHAMPION_FILE_WRITTEN
from schemas.log_events.registry import BY_ROOM
from schemas.log_events.service import CHANGES, VECTORS_PUBLISHED
from schemas.watching.traces import trace_id_of
from tests.hostile import HOSTILE
from tests.integration.service import Service
from tests.integration.topics import Topic
from tests.unit.consumer.tracing.collector import Collector, collecting
from tests.waiting import wait_until

pytestmark = pytest.mark.full

OF_THE_LISTENER = {CHANGES, *BY_ROOM["schemas.log_events.listener"].values()}
"""What is logged beside a cycle, and not because of it."""

A_LIBRARY = f"""
import atexit, os, sys, warnings

def chatter():
    os.write(2, {chr(10).join(HOSTILE.values()).encode("utf-8", "surrogatepass")!r})
    warnings.warn("a library warns")
    os.write(2, b"\\n\\xff\\x1b[2Jnot even text\\r\\n" + b"x" * 5000 + b"\\n")

if "trainer" in sys.orig_argv:
    atexit.register(chatter)
"""
"""A library in the trainer that has much to say."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def service(
    tansu_address: str, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    (tmp_path / "chatter").mkdir()
    (tmp_path / "chatter" / "sitecustomize.py").write_text(A_LIBRARY)
    paths = [str(tmp_path / "chatter"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    (folder := tmp_path / "service").mkdir()
    made = Service(
        folder,
        tansu_address,
        TRACING__ENDPOINT=collector.url,
        MODEL_EVENTS__TOPIC=Topic.new(tansu_address, partitions=1).name,
        VECTORS__OUT=str(folder / "vectors"),
        FIT__FULL_EPOCHS="40",
        FIT__PATIENCE="40",
    )
    yield made
    made.close()


def lines(service: Service) -> list[dict[str, Any]]:
    """Each line of its log, strictly: a collector of logs knows neither NaN nor a line that is no JSON."""

    def refused(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    text = (service.folder / "service.log").read_bytes().decode("ascii")
    assert text.replace("\n", "").isprintable()
    return [json.loads(line, parse_constant=refused) for line in text.splitlines()]


def test_every_line_of_a_cycle_names_it_and_its_trace_is_told_once(service: Service, collector: Collector) -> None:
    service.fill(200)
    service.start()
    assert service.process is not None
    pid = service.process.pid
    service.wait_for_step("fit", 0)
    for trainer in service.trainers():  # one of them has the cycle; its first attempt fails
        with suppress(Exception):
            trainer.kill()
    service.wait_for_cycles(1)
    service.wave(1)
    service.wait_for_cycles(2)
    wait_until(lambda: len(collector.requests) == 2, 60, "both traces")
    wait_until(lambda: sum(line["event"] == VECTORS_PUBLISHED for line in lines(service)) >= 1, 90, "vectors")
    wait_until(lambda: sum(line["event"] == MODEL_EVENT_SENT for line in lines(service)) == 2, 60, "model events")

    told = lines(service)
    starts = [at for at, line in enumerate(told) if line["event"] == CYCLE_STARTED]
    ends = [at for at, line in enumerate(told) if line["event"] == CYCLE_ENDED]
    assert len(starts) == len(ends) == 2
    ids = [told[at]["cycle_id"] for at in starts]
    after = {CHAMPION_FILE_WRITTEN, MODEL_EVENT_SENT, VECTORS_PUBLISHED, EXPORTED}
    for start, end, cycle_id in zip(starts, ends, ids, strict=True):
        within = [line for line in told[start : end + 1] if line["event"] not in OF_THE_LISTENER | after]
        assert len(within) > 15
        assert [line for line in within if line.get("cycle_id") != cycle_id] == []
        said = [line for line in within if line["event"] == TRAINER_SAYS]
        assert any("a library warns" in line["line"] for line in said)
        assert any("not even text" in line["line"] for line in said)
        assert all(len(line["line"]) <= 4000 and line["pid"] != pid for line in said)
        assert told[end]["trace_id"] == trace_id_of(cycle_id)
    assert [line["cycle_id"] for line in told if line["event"] == TRAINER_FAILED] == ids[:1]
    for event in (CHAMPION_FILE_WRITTEN, MODEL_EVENT_SENT):
        assert [line["cycle_id"] for line in told if line["event"] == event] == ids
    assert all(line["cycle_id"] in ids for line in told if line["event"] == VECTORS_PUBLISHED)

    first, second = collector.traces()
    for spans, cycle_id, kind in ((first, ids[0], "bootstrap"), (second, ids[1], "incremental")):
        root = spans[f"cycle {kind}"]
        assert root["trace_id"] == trace_id_of(cycle_id)
        assert root["attributes"]["retrainer.cycle.outcome"] == "registered"
        steps = {line["step"] for line in told if line["event"] == CYCLE_STEP and line["cycle_id"] == cycle_id}
        assert steps <= spans.keys()
        last = spans["attempt"][-1]
        assert all(last["start"] <= spans[step]["start"] <= spans[step]["end"] for step in steps)
        order = ["read", "embed", "pair", "base", "fit", "gate", "package", "register"]
        assert [spans[step]["start"] for step in order] == sorted(spans[step]["start"] for step in order)
        assert spans["register"]["end"] <= last["end"] + 1_000_000 <= root["end"] + 1_000_000
        assert spans["waiting"]["end"] == root["start"]
        assert {"registered", "promoted"} == spans["settle"]["events"].keys()
        assert "gate decision" in spans["gate"]["events"]
    assert [attempt["failed"] for attempt in first["attempt"]] == [True, False]
    assert "code -9" in first["attempt"][0]["message"]

    shown = json.loads(service.call("show", "last", "--json").stdout)
    assert shown["trace_id"] == trace_id_of(ids[1])
    assert trace_id_of(ids[1]) in service.call("show", "last").stdout
    assert service.stop() == 0

    service.start()
    wait_until(lambda: service.status()["champion"] == 2 and service.status()["state"] == "listening", 60, "the start")
    service.wave(2)
    service.wait_for_cycles(3)
    wait_until(lambda: len(collector.requests) == 3, 60, "the third trace")
    assert [next(iter(spans)) for spans in collector.traces()] == ["cycle bootstrap", *["cycle incremental"] * 2]
    assert service.stop() == 0
    assert lines(service)
