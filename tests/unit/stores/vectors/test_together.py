"""A query vector never meets another version's candidates unnoticed (P10)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas.compatibility import CompatibilityReport
from schemas.jobs.vectors import Origin, Tower
from schemas.manifest import ModelManifest
from stores.vectors.together import VectorsApart, check_together, origin_of, same_towers

HASHES = {Tower.QUERY: "a" * 64, Tower.CANDIDATE: "b" * 64}


def report(version: int, kept: float, *, changed: bool = True) -> CompatibilityReport:
    return CompatibilityReport(
        version=version,
        recall=0.5 * kept,
        own_recall=0.5,
        kept=kept,
        compatible=kept >= 0.9,
        limit=0.9,
        towers_changed=changed,
    )


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    version = draw(st.integers(1, 5))
    told = draw(st.none() | st.builds(report, st.integers(1, version), st.floats(0, 1)))
    return Origin(
        model_name=draw(st.sampled_from(["one", "other"])),
        version=version,
        towers=draw(st.integers(1, version)),
        sha256=draw(st.sampled_from([{}, HASHES, {**HASHES, Tower.QUERY: "c" * 64}])),
        index_compatible_with=told.version if told is not None and told.compatible else None,
        compatibility=told,
    )


@given(query=origins(), candidates=origins())
def test_two_origins_meet_only_with_the_same_towers_or_a_figure(query: Origin, candidates: Origin) -> None:
    same = query.model_name == candidates.model_name and same_towers(query, candidates)
    compatible = (query.model_name, query.index_compatible_with) == (candidates.model_name, candidates.version)
    if not same and not compatible:
        with pytest.raises(VectorsApart, match=rf"version {query.version} must not meet"):
            check_together(query, candidates)
        return
    meeting = check_together(query, candidates)
    assert meeting.same == same
    assert meeting.kept == (None if same or query.compatibility is None else query.compatibility.kept)
    assert str(candidates.version) in meeting.summary


@given(one=origins(), other=origins())
def test_the_same_towers_are_the_same_both_ways(one: Origin, other: Origin) -> None:
    assert same_towers(one, other) == same_towers(other, one)
    assert same_towers(one, one)


def test_a_number_that_is_given_again_is_not_the_same_version() -> None:
    one = Origin(model_name="m", version=1, towers=1, sha256=HASHES)
    with pytest.raises(VectorsApart):
        check_together(one, one.model_copy(update={"sha256": {**HASHES, Tower.CANDIDATE: "d" * 64}}))


def test_the_way_out_is_said() -> None:
    old = Origin(model_name="m", version=3, towers=3)
    new = Origin(model_name="m", version=4, towers=4, compatibility=report(3, 0.42))
    with pytest.raises(VectorsApart, match=r"keep 0\.42 of its recall@10, and 0\.90 is the limit: take queries of"):
        check_together(new, old)
    with pytest.raises(VectorsApart, match="lie in another space: take"):
        check_together(old, new)


def test_an_origin_is_read_from_a_manifest() -> None:
    manifest = json.loads((Path(schemas.__file__).parent / "golden" / "model_manifest.json").read_text())
    found = ModelManifest.model_validate(manifest | {"towers_as_in": None, "compatibility_report": None, "files": []})
    assert origin_of(9, found).towers == 9
    assert origin_of(9, found.model_copy(update={"towers_as_in": 4})).towers == 4
    unchanged = found.model_copy(update={"compatibility_report": report(8, 1.0, changed=False)})
    assert origin_of(9, unchanged).towers == 8
    compatible = found.model_copy(update={"compatibility_report": report(8, 0.95), "index_compatible_with": 8})
    assert check_together(origin_of(9, compatible), origin_of(8, found)).kept == 0.95
