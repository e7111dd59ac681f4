"""The online store: rows by key through a feature view and the REST server, or by SQL.

A row that the REST server does not return may be deleted, or the server may have failed to read it: the SDK leaves out
an `ERROR` row inside an HTTP 200 like a missing row. So such keys are read once more by SQL, which raises its failures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from schemas.events import Group
from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from stores.errors import ContractError
from stores.hopsworks.deadline import within
from stores.hopsworks.groups import columns_of, ends_of, native_keys, with_keys
from stores.hopsworks.rows import Decoder, Rows, avro_decoders, from_batch, from_lists, joined, only
from stores.hopsworks.session import Session

_SCAN_ROWS = 5000
_BIND = re.compile(r"(?<![:\w\\]):\w")  # SQLAlchemy takes this for a parameter, even inside a literal


class OnlineStore:
    """Reads one group, for one trainer. `found` is the SDK's feature group."""

    def __init__(self, session: Session, settings: HopsworksStore, group: Group, found: Any) -> None:
        self._session = session
        self._settings = settings
        self._group = group
        self._found = found
        self._view: Any = None
        self._generation = 0
        self._decoders: dict[str, Decoder] | None = None

    def read(self, keys: Sequence[str]) -> Iterator[Rows]:
        """The rows of `keys` that are there, each once, in parts of `keys_per_read`.

        Raises:
            ClusterError: a part could not be read.
        """
        wanted = iter(dict.fromkeys(keys))
        while part := list(islice(wanted, self._settings.keys_per_read)):
            found = self._by_rest(part)
            absent = set(part) - set(found.keys)
            yield joined(self._group, [found, self._by_sql(absent)]) if absent else found

    def scan(self) -> Iterator[Rows]:
        """All rows, by one SQL query whose result is read as a stream.

        Raises:
            ClusterError: the scan could not start, or broke off.
        """
        what, patience = f"scan the online store of {self._group.name}", self._settings.query_timeout
        context, batch = self._session.ask(what, lambda: within(patience, self._open_scan))
        decoders = self._decoding()
        try:
            while batch is not None:
                yield from_batch(self._group, batch, decoders)
                batch = self._session.once(what, lambda: within(patience, lambda: next(context[1], None)))
        finally:
            context[0].__exit__(None, None, None)

    def _open_scan(self) -> tuple[tuple[Any, Any], Any]:
        context = self._select().read_batches(online=True, batch_size=_SCAN_ROWS)
        batches = context.__enter__()
        return (context, batches), next(batches, None)

    def _by_rest(self, keys: Sequence[str]) -> Rows:
        asked = native_keys(self._found, self._group, keys)
        if not asked:
            return from_lists(self._group, columns_of(self._group), [])

        def ask() -> Rows:
            view = self._serving()
            rows = view.get_feature_vectors(
                serving_keys=asked,
                return_type="list",
                force_rest_client=True,
                transform=False,
                timeout=self._settings.read_timeout,
            )
            # The answer is not in the order of the request: the key in each row identifies it.
            return from_lists(self._group, list(_served(view)), rows)

        what = f"read {len(asked)} keys of {self._group.name} online"
        return only(self._session.ask(what, ask), set(keys).__contains__)

    def _by_sql(self, keys: Iterable[str]) -> Rows:
        """The rows of `keys` that SQL finds; only SQL is certain about what is not there."""
        plain = [key for key in keys if not any(map(_BIND.search, ends_of(self._group, key)))]
        odd = set(keys) - set(plain)
        parts = [self._selected(plain)] if plain else []
        if odd:  # the SDK writes ids into the text of its query, and SQLAlchemy takes `:name` there for a parameter
            parts += [only(rows, odd.__contains__) for rows in self.scan()]
        return joined(self._group, parts)

    def _selected(self, keys: Sequence[str]) -> Rows:
        natives = native_keys(self._found, self._group, keys)
        if not natives:
            return joined(self._group, [])

        def ask() -> list[Any]:
            query = self._select().filter(with_keys(self._found, natives))
            with query.read_batches(online=True, batch_size=_SCAN_ROWS) as batches:
                return list(batches)

        what = f"look up {len(natives)} keys of {self._group.name} by SQL"
        patience = self._settings.read_timeout
        batches = self._session.ask(what, lambda: within(patience, ask))
        decoders = self._decoding()
        found = joined(self._group, [from_batch(self._group, batch, decoders) for batch in batches])
        return only(found, set(keys).__contains__)  # SQL may match U1 for u1, and other pairs of two columns

    def _select(self) -> Any:
        return self._found.select(columns_of(self._group))

    def _serving(self) -> Any:
        """The feature view with its clients; after a new login, new clients."""
        if self._view is not None and self._generation == self._session.generation:
            return self._view
        view = ensure_view(self._session, self._settings, self._group, self._found)
        settings, cluster = self._settings, self._session.cluster
        config: dict[str, Any] = {
            "port": settings.online_port,
            "timeout": settings.read_timeout,
            "verify_certs": cluster.verify,
            "use_ssl": True,
        }
        if settings.online_host:
            config["host"] = settings.online_host
        view.init_serving(1, init_rest_client=True, config_rest_client=config, reset_rest_client=True)
        self._view, self._generation = view, self._session.generation
        return view

    def _decoding(self) -> dict[str, Decoder]:
        if self._decoders is None:
            what = f"ask for the Avro schema of {self._group.name}"
            self._decoders = avro_decoders(self._session.ask(what, lambda: str(self._found.avro_schema)))
        return self._decoders


def view_name(settings: HopsworksStore, group: Group) -> str:
    """The name of the feature view that a group is read through. The setting names the users' view."""
    named = settings.feature_view if isinstance(group, FeatureGroup) else None
    return named or f"{group.name}_retrainer"


def ensure_view(session: Session, settings: HopsworksStore, group: Group, found: Any) -> Any:
    """The feature view; a missing one is made. To be called inside `session.ask`.

    Raises:
        ContractError: the view of that name lacks columns, or has them from another feature group.
    """
    name, version = view_name(settings, group), settings.feature_view_version
    query = found.select(columns_of(group))
    store = session.project.get_feature_store()
    view = store.get_or_create_feature_view(name=name, version=version, query=query)
    has = _served(view)
    advice = "name another with RETRAINER_FEATURE_STORE__FEATURE_VIEW or its version with __FEATURE_VIEW_VERSION"
    if lacking := [column for column in columns_of(group) if column not in has]:
        raise ContractError(f"feature view {name}, version {version}, lacks {', '.join(lacking)}; {advice}")
    # As after the contract went to the next version of the group: the view has all columns, of other rows.
    if strange := [column for column in columns_of(group) if has[column].feature_group.id != found.id]:
        other = has[strange[0]].feature_group
        raise ContractError(
            f"feature view {name}, version {version}, has {', '.join(strange)} from feature group {other.name}, "
            f"version {other.version}, not from {group.name}, version {group.version}; {advice}"
        )
    return view


def _served(view: Any) -> dict[str, Any]:
    """The features in the order of the values of a vector, which has no labels and no helper columns."""
    return {
        feature.name: feature
        for feature in view.features
        if not (feature.label or feature.inference_helper_column or feature.training_helper_column)
    }
