"""The table of docs/tuning.md: what the trigger does with it, minute by minute, over a day."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from consumer.cycles.trigger import Start, TriggerState, decide, enough
from schemas.policies import TriggerPolicy
from tests.unit.project.code import ROOT

USERS, TOOK, DAY, STEP = 200_000, 60.0, 86_400.0, 5.0
ROW = re.compile(r"^\| (defaults|`.*?`) \| ([\d,]+) \| ([\d,]+) \| (\d+) min \|$", re.MULTILINE)


@dataclass
class Simulated:
    """A day of steady changes, of other users each."""

    cycles: int = 0
    oldest: float = 0.0
    """The longest from a change to its version, in seconds."""


def simulated(policy: TriggerPolicy, an_hour: int) -> Simulated:
    found, now, last_end = Simulated(), 0.0, -policy.min_interval
    pending: list[float] = []
    enough_since: float | None = None
    arrived = 0
    while now < DAY:
        now += STEP
        while arrived < an_hour * now / 3600:
            arrived += 1
            pending.append(arrived * 3600 / an_hour)
        state = TriggerState(
            pending_users=len(pending),
            known_users=USERS,
            oldest_change=pending[0] if pending else None,
            newest_change=pending[-1] if pending else None,
            enough_since=enough_since,
            last_cycle_end=last_end,
        )
        enough_since = (enough_since or now) if enough(policy, state) else None
        if isinstance(decide(policy, state, now), Start):
            found.cycles += 1
            found.oldest = max(found.oldest, now + TOOK - pending[0])
            begun, now, pending, enough_since = now, now + TOOK, [], None
            last_end = now
            arrived_by = int(an_hour * now / 3600)
            pending = [number * 3600 / an_hour for number in range(arrived + 1, arrived_by + 1)]
            arrived = arrived_by
            assert begun < now
    return found


def rows() -> list[tuple[str, int, int, int]]:
    text = (ROOT / "docs" / "tuning.md").read_text()
    return [(given, *(int(one.replace(",", "")) for one in others)) for given, *others in ROW.findall(text)]


def policy_of(given: str) -> TriggerPolicy:
    settings = dict(re.findall(r"`?([A-Z_]+)=([\d.]+)`?", given))
    return TriggerPolicy.model_validate({name.lower(): float(value) for name, value in settings.items()})


def test_the_table_is_there() -> None:
    assert len(rows()) >= 9


@pytest.mark.parametrize(("given", "an_hour", "cycles", "minutes"), rows())
def test_a_row_is_what_the_trigger_does(given: str, an_hour: int, cycles: int, minutes: int) -> None:
    found = simulated(policy_of(given), an_hour)
    assert abs(found.cycles - cycles) <= max(1, cycles // 50), found
    assert abs(found.oldest / 60 - minutes) <= 1, found
