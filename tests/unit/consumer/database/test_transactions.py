"""What an address of PostgreSQL says in its options, as each transaction says it."""

from __future__ import annotations

import pytest

from consumer.database.transactions import beginning, parsed
from consumer.errors import SettingsError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("-csearch_path=ours", {"search_path": "ours"}),
        ("-c search_path=ours,public  --lock-timeout=3s", {"search_path": "ours,public", "lock_timeout": "3s"}),
        (r"-csearch_path=a\ b -cx.Y=c\\d=e", {"search_path": "a b", "x.y": r"c\d=e"}),
    ],
)
def test_options_of_an_address_are_read_as_postgresql_reads_them(options: str, expected: dict[str, str]) -> None:
    assert parsed(options) == expected


@pytest.mark.parametrize("options", ["-d 5", "-c", "-clock_timeout", "search_path=x", "-c'; DROP TABLE changes; --=1"])
def test_options_that_are_no_settings_are_refused(options: str) -> None:
    with pytest.raises(SettingsError, match=r"RETRAINER_LEDGER__URL: options hold .*\?options=-csearch_path"):
        parsed(options)


def test_an_address_outranks_what_we_say_and_a_value_is_a_value_whatever_is_in_it() -> None:
    said = beginning(r"-clock_timeout=1s -csearch_path=o'neill\\x", writes=True)
    assert "set_config('lock_timeout', '1s', true)" in said
    assert r"set_config('search_path', E'o''neill\\x', true)" in said
    assert said.endswith("hashtext(current_schema()), 0))")
    assert "advisory" not in beginning("", writes=False)
