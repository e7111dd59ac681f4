"""Every raw row is sound or refused with its reason, and one bad row harms nobody else."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.cycle import RefusedKind
from stores.feature_store import FeatureRows, Floats
from stores.features.checks import check_rows
from stores.features.reading import absent, read_report
from tests.worlds import GROUP, World, names

UNUSABLE = "habit has a number that is not finite, or too large to be scaled"


def rows_with(user: str, column: str, block: Floats | None) -> FeatureRows:
    rows = World().rows(names(3))
    columns: dict[str, list[Floats | None]] = {
        name: [row[name] for row in rows.values()] for name in (column.name for column in GROUP.columns)
    }
    columns[column][names(3).index(user)] = block
    return FeatureRows(names(3), columns)


@pytest.mark.parametrize(
    ("block", "reason", "kind"),
    [
        (None, "habit is missing", RefusedKind.MISSING),
        (np.ones(4, dtype=np.float32), "habit has 4 numbers, not 5", RefusedKind.LENGTH),
        (np.empty(0, dtype=np.float32), "habit has 0 numbers, not 5", RefusedKind.LENGTH),
        (np.array([1, 2, np.nan, 4, 5], dtype=np.float32), UNUSABLE, RefusedKind.NOT_FINITE),
        (np.array([1, 2, np.inf, 4, 5], dtype=np.float32), UNUSABLE, RefusedKind.NOT_FINITE),
    ],
)
def test_an_unsound_row_is_refused_and_the_others_stand(block: Floats | None, reason: str, kind: RefusedKind) -> None:
    checked = check_rows(GROUP, rows_with("u1", "habit", block))
    assert checked.refused == {"u1": reason}
    assert read_report(checked, deleted=0).refused_kinds == {kind: 1}
    assert checked.keys == ["u0", "u2"]
    whole = check_rows(GROUP, rows_with("u1", "habit", np.ones(5, dtype=np.float32)))
    np.testing.assert_array_equal(checked.raw, whole.raw[[0, 2]])


def test_blocks_lie_in_the_contract_s_order() -> None:
    rows = World().rows(["u0"])
    columns: dict[str, list[Floats | None]] = {name: [block] for name, block in reversed(rows["u0"].items())}
    checked = check_rows(GROUP, FeatureRows(["u0"], columns))
    expected = np.concatenate([rows["u0"][column.name] for column in GROUP.columns])
    np.testing.assert_array_equal(checked.raw[0], expected)


def test_who_is_neither_read_nor_refused_is_deleted() -> None:
    checked = check_rows(GROUP, rows_with("u1", "habit", None))
    assert absent([*names(3), "gone"], checked) == ["gone"]
    report = read_report(checked, deleted=1)
    assert (report.accepted, report.deleted, report.refused_total) == (2, 1, 1)


def test_a_report_names_a_hundred_refusals_and_counts_all() -> None:
    many = FeatureRows(names(250), {column.name: [None] * 250 for column in GROUP.columns})
    report = read_report(check_rows(GROUP, many), deleted=0)
    assert len(report.refused) == 100
    assert report.refused_total == 250


def test_a_row_with_several_faults_is_counted_once_and_keyless_rows_are_counted_too() -> None:
    rows = rows_with("u1", "habit", None)
    rows.columns[GROUP.columns[-1].name][1] = None
    twice = FeatureRows(rows.keys, rows.columns, keyless=2)
    found = read_report(check_rows(GROUP, twice), deleted=0)
    assert found.refused_kinds == {RefusedKind.MISSING: 1, RefusedKind.KEYLESS: 2}
