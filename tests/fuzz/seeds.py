"""What fuzzing starts from: the golden events, and words that turn one of them into something odd."""

from __future__ import annotations

from pathlib import Path

import schemas
from schemas.features import FeatureGroup
from schemas.labels import LabelGroup

GROUPS = [FeatureGroup(id=13, feature_store_id=67), FeatureGroup(id=13), FeatureGroup()]
"""Ways to say which group is ours: with all ids, with its own, by name alone."""
LABEL_GROUPS = [LabelGroup(id=13, feature_store_id=67), LabelGroup(id=13), LabelGroup()]

_FOLDER = Path(schemas.__file__).parent / "golden" / "events"
GOLDEN = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir())}

FIELDS = [
    "featureStoreId",
    "featureGroupId",
    "featureGroupName",
    "featureGroupVersion",
    "entry",
    "user_id",
    "other_user_id",
    "x",
]
HEADERS = ["operation", "featureGroupId", "storage", "projectId", "subjectId", "", "\0", "ö", "x" * 300]
MARKS = [b"", b"delete", b"DELETE", b"upsert", b"13", b"14", b"013", b"offline", b"online", b"\xff\xfe", b"\0"]
"""Values of headers."""

WORDS: tuple[bytes, ...] = (
    *(f'"{field}":'.encode() for field in FIELDS),
    *(mark for mark in MARKS if mark),
    rb'"\ud800"',
    rb'"\u0000"',
    rb'"\ud83d\ude00"',
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
    b'"spotify_user_embeddings"',
    b'"spotify_user_pair_labels"',
    b'["u1","u2"]',
    b"\x02\x04u1\x02\x04u2",
    b"u2u1",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"-Infinity",
    b"99999999999999999999",
    b"{}",
    b"[]",
    b"[",
    b"{",
    b'{"a":',
    b"}",
    b'"',
    b",",
    b"\\",
    b"/**/",
    b"\r\n",
)
"""Bytes that mean something to a decoder: names, values, brackets, and text at the edges of Unicode."""
