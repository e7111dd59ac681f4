"""Waits until the rows that the ingestion service has accepted are in the online store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

from schemas.events import Group
from schemas.hopsworks import HopsworksStore
from stores.errors import ClusterUnreachable, NotThere
from stores.hopsworks.session import Session

LOOKED_BACK = 10
"""How many ingestions are looked at: several may run at once, and a later one may end before an earlier one."""


def await_ingestion(
    session: Session,
    group: Group,
    found: Any,
    settings: HopsworksStore,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the last few ingestions of the group, as of now, are written.

    Rows that failed count as done: waiting does not bring them into the online store. Where an ingestion does not know
    its number of rows, the wait is `ingestion_delay` seconds.

    Raises:
        ClusterUnreachable: the wait took longer than `ingestion_timeout`.
    """
    what = f"ask how far the ingestion of {group.name} is"

    def look(number: int) -> Any:
        try:
            return session.ask(what, lambda: found.get_online_ingestion(number))
        except NotThere:  # numbers may have gaps, or be those of other groups
            return None

    latest = session.ask(what, found.get_latest_online_ingestion)
    if latest is None:
        return
    numbers = range(latest.id, max(0, latest.id - LOOKED_BACK), -1)
    ingestions = [one for number in numbers if (one := look(number)) is not None]
    if any(not one.num_entries for one in ingestions):
        sleep(settings.ingestion_delay)
    ends = time.monotonic() + settings.ingestion_timeout
    for ingestion in ingestions:
        if left := _waited(lambda number: _left(look(number)), ingestion, ends, sleep):
            raise ClusterUnreachable(
                f"ingestion {ingestion.id} of {group.name}: {left} of {ingestion.num_entries} rows are not in the "
                f"online store after {settings.ingestion_timeout:.0f} s; is the ingestion service well?"
            )


def _waited(left: Callable[[int], int], ingestion: Any, ends: float, sleep: Callable[[float], None]) -> int:
    """How many rows of an ingestion are left once none is, or once the time is up."""
    if _left(ingestion) == 0:
        return 0
    retrying = Retrying(
        retry=retry_if_result(bool),
        wait=wait_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(max(0.0, ends - time.monotonic())),
        sleep=sleep,
    )
    try:
        return retrying(left, ingestion.id)
    except RetryError as error:
        rows: int = error.last_attempt.result()
        return rows


def _left(ingestion: Any) -> int:
    """Rows that are not written yet; 0 where that is not known."""
    if ingestion is None or not ingestion.num_entries:
        return 0
    entries: int = ingestion.num_entries
    written: int = sum(result.rows for result in ingestion.results)
    return max(0, entries - written)
