"""Events of the page and the API that the service serves by HTTP."""

from __future__ import annotations

from schemas.log_events.event import REASON, LogEvent, begins, ends

HTTP_SERVED = LogEvent(
    "page and API are served",
    "info",
    "The service answers by HTTP.",
    url="where",
    orders="whether a token is set, so that orders are taken",
)
HTTP_TROUBLE = begins(
    "page and API are not served",
    "The service cannot listen at its address, as another program has the port, say. It goes on, and tries again.",
)
HTTP_WORKS = ends("page and API are served again", "The service listens at its address.")
HTTP_ORDER = LogEvent(
    "order by HTTP",
    "info",
    "A person has ordered something by the API, and the ledger has it on record.",
    order="what was ordered",
    by="who, as the order says",
    reason="why, as the order says",
    client="the address that the order came from",
)
HTTP_TOKEN_REFUSED = LogEvent(
    "an order by HTTP had no valid token",
    "warning",
    "Somebody tried to order something and was refused. Logged once a minute at most.",
    client="the address that the order came from",
    failures="how many have been refused since the service was started",
)
HTTP_FAILED = LogEvent(
    "a request by HTTP failed",
    "error",
    "A fault of ours: the request got the answer 500. Logged once a minute at most.",
    path="what was asked for",
    reason=REASON,
)
