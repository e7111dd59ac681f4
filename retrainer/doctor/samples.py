"""Some rows of a group of the cluster, read by the query service and judged."""

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
"""How it is asked."""

_LENGTHS = "set RETRAINER_FEATURE_GROUP__COLUMNS to what the rows have, or have whoever writes features mend them"
_LABELS = "see RETRAINER_LABELS__WORDS, and have whoever writes labels write what it names"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of the feature group, and a user among them, a sound one where there is one; None where nobody is."""

    rows: FeatureRows
    user: str | None


def some_users(group: Any, contract: FeatureGroup) -> Sample:
    """Some rows of the SDK's feature group, read by the query service.

    Raises:
        ClusterError: there are none.
    """
    from stores.feature_store import FeatureRows
    from stores.features.checks import check_rows

    rows = _some_rows(group, contract)
    users = FeatureRows(rows.keys, rows.columns, rows.keyless)
    return Sample(users, next(iter([*check_rows(contract, users).keys, *rows.keys]), None))


def users_judged(contract: FeatureGroup, has: str, rows: FeatureRows) -> Finding:
    """What some rows of the feature group say of it."""
    from stores.features.checks import check_rows

    found = check_rows(contract, rows)
    return judged(has, len(found.keys), found.refused.values(), found.keyless, _LENGTHS)


def user_judged(contract: FeatureGroup, has: str, rows: FeatureRows) -> Finding:
    """What one row says: a block of another length is the group's fault, whatever else is wrong may be its own."""
    from stores.features.checks import check_rows

    found = check_rows(contract, rows)
    if not found.refused:
        return ok(has)
    said = f"{has}, but a cycle would refuse it: {next(iter(found.refused.values()))}"
    return failed(said, _LENGTHS) if found.lengths else warning(said, _LENGTHS)


def labels_judged(group: Any, labels: LabelGroup) -> Finding:
    """What some rows of the label group say of it."""
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
        ClusterError: there are none.
    """
    from stores.hopsworks.failures import as_store_error

    try:
        # Not by the session: for as long as the SDK hangs it would keep others from it, and their prints back.
        with query.read_batches(**how) as batches:
            return list(batches)
    except (AttributeError, ValueError) as error:
        # Of a Flight client that could not begin, the SDK says that it has no version, or speaks of Hive.
        raise ClusterUnreachable(f"{what}: the service did not let us in ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001  (the SDK raises anything)
        raise as_store_error(what, error) from None


def _some_rows(group: Any, contract: Group) -> Rows:
    from stores.hopsworks.groups import columns_of
    from stores.hopsworks.rows import from_batch, joined

    query = group.select(columns_of(contract)).limit(SAMPLE)
    return joined(contract, (from_batch(contract, batch) for batch in read_batches("read some rows", query, **FLIGHT)))
