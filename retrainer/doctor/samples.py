"""Some rows of a group in the cluster, read by the query service and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrainer.doctor.checks import Finding, failed, ok, warning
from retrainer.doctor.rows import SAMPLE, judged
from schemas.events import Group
from schemas.features import FeatureGroup
from schemas.labels import LabelGroup
from stores.errors import ClusterUnreachable

if TYPE_CHECKING:
    from stores.feature_store import FeatureRows
    from stores.hopsworks.rows import Rows

TIMEOUT = 8.0  # seconds for the query service
FLIGHT: dict[str, Any] = {"read_options": {"arrow_flight_config": {"timeout": TIMEOUT}}}
"""Options of a read by the query service."""

_LENGTHS = "set RETRAINER_FEATURE_GROUP__COLUMNS to what the rows have, or have whoever writes features mend them"
_LABELS = "see RETRAINER_LABELS__WORDS, and have whoever writes labels write what it names"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of the feature group, and one user, preferably with a sound row; None without users."""

    rows: FeatureRows
    user: str | None


def some_users(group: Any, contract: FeatureGroup) -> Sample:
    """Some rows of the SDK's feature group, read by the query service.

    Raises:
        ClusterError: the read failed.
    """
    from stores.feature_store import FeatureRows
    from stores.features.checks import check_rows

    rows = _some_rows(group, contract)
    users = FeatureRows(rows.keys, rows.columns, rows.keyless)
    return Sample(users, next(iter([*check_rows(contract, users).keys, *rows.keys]), None))


def users_judged(contract: FeatureGroup, has: str, rows: FeatureRows) -> Finding:
    """The finding on some rows of the feature group."""
    from stores.features.checks import check_rows

    found = check_rows(contract, rows)
    return judged(has, len(found.keys), found.refused.values(), found.keyless, _LENGTHS)


def user_judged(contract: FeatureGroup, has: str, rows: FeatureRows) -> Finding:
    """The finding on one row: a wrong length is the fault of the group, other errors may be the row's own."""
    from stores.features.checks import check_rows

    found = check_rows(contract, rows)
    if not found.refused:
        return ok(has)
    said = f"{has}, but a cycle would refuse it: {next(iter(found.refused.values()))}"
    return failed(said, _LENGTHS) if found.lengths else warning(said, _LENGTHS)


def labels_judged(group: Any, labels: LabelGroup) -> Finding:
    """The finding on some rows of the label group."""
    from stores.labels.checks import check_labels
    from stores.labels.hopsworks import label_rows

    found = check_labels(labels, label_rows(labels, _some_rows(group, labels)))
    if not len(found) and not found.refused and not found.keyless:
        return ok(f"{labels.name} holds no labels yet; until it does, users are similar by their features")
    has = f"{labels.name} gave {len(found) + len(found.refused)} labels"
    return judged(has, len(found), found.refused.values(), found.keyless, _LABELS)


def read_batches(what: str, query: Any, **how: Any) -> list[Any]:
    """The Arrow batches of a query.

    Raises:
        ClusterError: the read failed.
    """
    from stores.hopsworks.failures import as_store_error

    try:
        # Without the session: a hanging SDK would block the session and swallow prints.
        with query.read_batches(**how) as batches:
            return list(batches)
    except (AttributeError, ValueError) as error:
        # For a Flight client that failed to start, the SDK's error is about a version or Hive.
        raise ClusterUnreachable(f"{what}: the service did not let us in ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001  (the SDK raises anything)
        raise as_store_error(what, error) from None


def _some_rows(group: Any, contract: Group) -> Rows:
    from stores.hopsworks.groups import columns_of
    from stores.hopsworks.rows import from_batch, joined

    query = group.select(columns_of(contract)).limit(SAMPLE)
    return joined(contract, (from_batch(contract, batch) for batch in read_batches("read some rows", query, **FLIGHT)))
