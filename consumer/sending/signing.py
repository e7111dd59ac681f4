"""Signatures of webhooks, as Standard Webhooks 1.0 has them: HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable


def signed_headers(keys: Iterable[bytes], event_id: str, at: float, body: bytes) -> dict[str, str]:
    """The headers that a receiver verifies.

    Args:
        keys: of the secrets; with several there is a signature by each, so that a secret can be changed.
        event_id: of the event, without a dot; the same at each try.
        at: the time of this try, seconds since the epoch. Receivers refuse what is minutes old, as it may be a replay.
        body: what is sent, byte by byte.
    """
    moment = str(int(at))
    content = f"{event_id}.{moment}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
