"""docs/events.md: current, with a meaning for each field, and with what really becomes of each example."""

from __future__ import annotations

import pytest

from retrainer.documents import events


def test_the_page_is_current() -> None:
    assert events.main(["--check"]) == 0, "docs/events.md is not what the schemas are; `make schemas` writes it"


def test_every_field_has_a_meaning() -> None:
    rows = [line for line in events.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.endswith("|  |")] == []


@pytest.mark.parametrize(
    ("name", "group", "said"),
    [
        ("newer_shape.json", events.USERS, "User `u1` may have changed."),
        ("label.json", events.LABELS, "The label of the users `u1` and `u2` may have changed."),
        ("another_group.json", events.USERS, "Ignored: another feature group."),
        ("missing_entry.json", events.USERS, "A dead letter: entry is missing."),
    ],
)
def test_an_example_says_what_becomes_of_it(name: str, group: object, said: str) -> None:
    assert events.became((events.GOLDEN / "events" / name).read_bytes(), group) == said  # type: ignore[arg-type]
    assert said in events.page()


def test_a_golden_event_without_a_title_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(events.TITLES, "cut_off.txt")
    with pytest.raises(ValueError, match="cut_off"):
        events.page()
