"""The label group of a Hopsworks cluster: labels by both users, or all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime

from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup, PairKey, pair_of, pair_text
from stores.hopsworks.group_reader import GroupReader
from stores.hopsworks.rows import Rows
from stores.hopsworks.session import Session
from stores.label_store import LabelRows

_SECONDS = 10**10  # integers below are seconds, larger ones milliseconds, as in the SDK's event times


class HopsworksLabelStore:
    """A label group, read through the SDK. The cluster gets no request before the first read."""

    def __init__(self, session: Session, settings: HopsworksStore, group: LabelGroup) -> None:
        self._reader = GroupReader(session, settings, group)
        self._group = group

    def check_contract(self) -> None:
        """See LabelStore."""
        self._reader.check_contract()

    def snapshot(self, changed: Collection[PairKey]) -> Iterator[LabelRows]:
        """See LabelStore. Where the offline table keeps the history of a label, the latest row counts."""
        return map(self._labels, self._reader.snapshot([pair_text(pair) for pair in changed]))

    def read(self, pairs: Sequence[PairKey]) -> LabelRows:
        """See LabelStore."""
        return self._labels(self._reader.read([pair_text(pair) for pair in pairs]))

    def count(self) -> int | None:
        """See LabelStore. The cluster would have to count all rows."""
        return None

    def close(self) -> None:
        """See LabelStore."""
        self._reader.close()

    def _labels(self, rows: Rows) -> LabelRows:
        return label_rows(self._group, rows)


def label_rows(group: LabelGroup, rows: Rows) -> LabelRows:
    """Rows of the label group as labels, unchecked."""
    columns = rows.columns
    return LabelRows(
        pairs=[pair_of(key) for key in rows.keys],
        labels=columns[group.label],
        weights=columns[group.weight] if group.weight is not None else [1.0] * len(rows.keys),
        times=[moment(value) for value in columns[group.labelled_at]],
        keyless=rows.keyless,
    )


def moment(value: object) -> float | None:
    """An event time as seconds since the epoch, UTC where it has no time zone; None for what is no time."""
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < _SECONDS else value / 1000
    return None
