"""Events of the champion: where it is told of beside the ledger."""

from __future__ import annotations

from schemas.log_events.event import REASON, LogEvent

_VERSION = "the version"
_CYCLE_ID = "the cycle that made the version; null where that is not known"

CHAMPION_FILE_WRITTEN = LogEvent(
    "champion file written",
    "info",
    "`champion.json` in the local registry tells which version is champion.",
    cycle_id=_CYCLE_ID,
    version=_VERSION,
    promotion="the number of the promotion; later ones have higher numbers",
)
CHAMPION_FILE_NOT_WRITTEN = LogEvent(
    "champion file not written",
    "warning",
    "`champion.json` cannot be written. It is tried again; the ledger, which decides, knows the champion.",
    cycle_id=_CYCLE_ID,
    version=_VERSION,
    reason=REASON,
)
CHAMPION_TAGGED = LogEvent(
    "champion tagged",
    "info",
    "The registry of the cluster shows which version is champion.",
    cycle_id=_CYCLE_ID,
    version=_VERSION,
)
CHAMPION_NOT_TAGGED = LogEvent(
    "champion not tagged",
    "info",
    "The registry of the cluster took no tag. The ledger, which decides, knows the champion.",
    cycle_id=_CYCLE_ID,
    version=_VERSION,
    reason=REASON,
)
