"""The page of a report as text: each part is there where its evidence is, and every colour follows the reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.evidence import Evidence
from schemas.guard import Finding, GuardName, GuardReport
from trainer.report.html import Raw, element, joined, table
from trainer.report.page import page, plots_of
from trainer.report.palette import DARK, LIGHT, THEMED, themed

GOLDEN = Evidence.model_validate_json((Path(schemas.__file__).parent / "golden" / "evidence.json").read_text())
GUARD = GuardReport(
    findings=(
        Finding(name=GuardName.DELETED_SHARE, figure=0.6, limit=0.3, of=900, exceeded=True),
        Finding(name=GuardName.MEAN_Z, figure=0.05, limit=3, of=900, detail="column year", exceeded=False),
        Finding(name=GuardName.REFUSED_SHARE, figure=0.2, limit=0.1, of=900, exceeded=True, accepted=True),
    )
)


def changed(**fields: Any) -> Evidence:
    return GOLDEN.model_copy(update={"result": GOLDEN.result.model_copy(update=fields)})


def heads(evidence: Evidence) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page(evidence))


def test_the_page_of_a_registered_version_has_every_part() -> None:
    assert heads(changed(guard=GUARD)) == [
        "What changed",
        "Champion and challenger",
        "What the gate compared",
        "Slices",
        "Learning",
        "Guard",
        "Nearest users",
        "Versions",
        "Time",
    ]


def test_a_cycle_that_was_held_has_what_it_had() -> None:
    fields = {"guard": GUARD, "gate": None, "fit": None, "pairs": None, "version": None, "outcome": "held"}
    bare: dict[str, Any] = {"models": {}, "epochs": (), "intervals": (), "neighbourhoods": (), "versions": ()}
    evidence = Evidence.model_validate({**changed(**fields).model_dump(warnings=False), **bare})
    assert heads(evidence) == ["What changed", "Champion and challenger", "Guard", "Time"]
    text = page(evidence)
    assert "ended before its exam" in text
    assert "beyond: held" in text
    assert "accepted by a person" in text
    assert [plot.name for plot in plots_of(evidence)] == ["guard"]


def test_no_colour_is_left_that_no_reader_has_chosen() -> None:
    text = page(changed(guard=GUARD))
    body = text[text.index("<body") :]
    assert "#fe00" not in text
    assert re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", body) == []
    assert {"var(--champion)", "var(--challenger)", "var(--ink)", "var(--similar)"} <= set(
        re.findall(r"var\(--\w+\)", body)
    )


def test_nothing_outside_of_the_page_is_named() -> None:
    text = page(changed(guard=GUARD))
    assert re.findall(r"https?:", text.replace("http-equiv", "")) == []
    assert re.findall(r'(?:src|href)="(?!#)', text) == []


def test_the_page_is_small_and_the_same_each_time() -> None:
    first = page(GOLDEN)
    assert first == page(GOLDEN)
    assert len(first) < 400_000


def test_palettes_differ_and_each_placeholder_becomes_a_variable() -> None:
    assert LIGHT != DARK
    assert themed(f"fill: {THEMED.bad}; stroke: {THEMED.ink}") == "fill: var(--bad); stroke: var(--ink)"


@pytest.mark.parametrize("nasty", ["<b>", "a & b", '"', "'", "</td><script>"])
def test_texts_are_escaped_and_html_is_not(nasty: str) -> None:
    drawn = joined([element("p", nasty, title=nasty), table(nasty, (nasty,), [(nasty, Raw("<i>so</i>"))])])
    assert "<script>" not in drawn
    assert "<b>" not in drawn
    assert "<i>so</i>" in drawn
