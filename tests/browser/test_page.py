"""The page of a report in a browser: nothing is loaded, it fits a phone, and both colour schemes can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import schemas
from schemas.evidence import Evidence
from tests.browser.opened import DESK, PHONE, Scheme, opened
from trainer.report.page import page

GOLDEN = Path(schemas.__file__).parent / "golden" / "evidence.json"
NASTY = "<script>document.title='taken'</script><img src=http://example.org/x.png>&\"'"
LEAST = 4.5  # contrast of texts, WCAG 2.2, 1.4.3


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the golden evidence, in which whatever comes from data is nasty."""
    golden = Evidence.model_validate_json(GOLDEN.read_text())
    one = golden.neighbourhoods[0]
    read = golden.result.read
    assert read is not None
    nasty = golden.model_copy(
        update={
            "reason": NASTY,
            "neighbourhoods": (one.model_copy(update={"user": NASTY}),),
            "result": golden.result.model_copy(
                update={"read": read.model_copy(update={"refused": {NASTY: NASTY}, "refused_total": 1})}
            ),
        }
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(nasty))
    return path


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_nothing_and_fits(browser: Browser, drawn: Path, scheme: Scheme, width: int) -> None:
    with opened(browser, drawn, scheme, width) as found:
        assert (found.requests, found.complaints) == ([], [])
        assert found.fits()
        assert found.count("figure") == found.count("figure svg") == found.count("figcaption") >= 8
        for at in range(found.count("figure svg")):
            box = found.page.locator("figure svg").nth(at).bounding_box()
            assert box is not None
            assert box["width"] > 300
            assert 120 < box["height"] < 900


def test_what_comes_from_data_is_only_text(browser: Browser, drawn: Path) -> None:
    with opened(browser, drawn) as found:
        assert found.count("script") == found.count("img") == 0
        assert found.page.title().startswith("Report of cycle")
        assert found.text().count(NASTY) >= 4


def test_texts_can_be_read_in_both_schemes(browser: Browser, drawn: Path) -> None:
    seen = {}
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        with opened(browser, drawn, scheme) as found:
            ground = found.colour("body", "background-color")
            texts = {where: found.colour(where) for where in ("body", "figcaption", "dt")}
            texts["picture"] = found.colour("figure svg text", "fill")
            seen[scheme] = ground
            assert all(contrast(colour, ground) >= LEAST for colour in texts.values()), (scheme, texts)
            lines = {role: found.colour(":root", f"--{role}").strip() for role in ("challenger", "champion", "bad")}
            assert all(contrast(colour, ground) >= LEAST for colour in lines.values()), (scheme, lines)
    assert seen["light"] != seen["dark"]


def test_people_who_do_not_see_it_can_use_it(browser: Browser, drawn: Path) -> None:
    with opened(browser, drawn) as found:
        assert found.count("html[lang=en]") == 1
        assert found.count("h1") == 1
        assert found.count("table") == found.count("table > caption") > 4
        assert found.count("th:not([scope])") == 0
        assert found.count("figure svg:not([role=img][aria-label])") == 0
        ids = found.page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
        assert len(ids) == len(set(ids))
        missing = """[...document.querySelectorAll('use')].map(one => one.getAttribute('xlink:href').slice(1))
            .filter(id => !document.getElementById(id))"""
        assert found.page.evaluate(missing) == []


def contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG 2.2."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    if colour.startswith("#"):
        parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    else:
        parts = [int(part) for part in re.findall(r"\d+", colour)[:3]]
    linear = [one / 12.92 if (one := part / 255) <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
