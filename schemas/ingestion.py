"""Decoding of the ingestion topic: the rows on their way into the online store, of every feature group of a project.

A record's key is the text of the primary key, its value the row in Avro. The value is not decoded: it is only a signal,
as every event is, and the key names the user. So neither a schema nor its evolution matters here.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.events import BadEvent, Change, Ignored, Operation, user_of_key
from schemas.features import FeatureGroup


def decode_ingestion(
    group: FeatureGroup, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]
) -> Change | Ignored:
    """What one record of the ingestion topic says about our feature group.

    Args:
        group: the feature group that is listened to; its `id` is needed, as the topic names groups by nothing else.
        key, value: the record's bytes. A null value is a delete.
        headers: `featureGroupId`; `operation: delete` marks a delete, `storage: offline` a row that is not for the
            online store.

    Raises:
        BadEvent: the record names no group or no user; the message is the reason.
    """
    named = headers.get("featureGroupId")
    if named is None:
        raise BadEvent("header featureGroupId is missing: whose row is it?")
    if named != str(group.id).encode():
        return Ignored("another feature group")
    if headers.get("storage", b"").lower() == b"offline":
        return Ignored("a row for the offline store only")
    deleted = value is None or headers.get("operation", b"").lower() == b"delete"
    return Change(user_of_key(key), Operation.DELETE if deleted else Operation.UPSERT)
