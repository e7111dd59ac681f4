"""Waiting for the ingestion service: until the rows that it had taken are in the online store."""

from __future__ import annotations

import time
from typing import Any

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_exponential

from schemas.features import FeatureGroup
from trainer.errors import Unreachable
from trainer.hopsworks.session import Session


def await_ingestion(session: Session, group: FeatureGroup, found: Any, seconds: float) -> None:
    """Wait until the latest ingestion of the group, as of now, is written.

    Rows that failed count as done: they are not in the online store, and waiting does not bring them there. An
    ingestion that does not know how many rows it has cannot be waited for.

    Raises:
        Unreachable: that took longer than `seconds`.
    """
    what = f"ask how far the ingestion of {group.name} is"
    latest = session.ask(what, found.get_latest_online_ingestion)
    if latest is None or not latest.num_entries:
        return
    since = time.monotonic()
    retrying = Retrying(
        retry=retry_if_result(lambda left: left > 0),
        wait=wait_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(seconds),
    )
    try:
        retrying(lambda: _left(session.ask(what, lambda: found.get_online_ingestion(latest.id))))
    except RetryError as error:
        left = error.last_attempt.result()
        raise Unreachable(
            f"ingestion {latest.id} of {group.name}: {left} of {latest.num_entries} rows are not in the online store "
            f"after {time.monotonic() - since:.0f} s; is the ingestion service well?"
        ) from None


def _left(ingestion: Any) -> int:
    entries: int = ingestion.num_entries
    written: int = sum(result.rows for result in ingestion.results)
    return max(0, entries - written)
