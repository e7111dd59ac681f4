"""Opening a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog
from sqlalchemy import Connection, Engine, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random

from consumer.database.address import refusal, shown
from consumer.database.engine import make_engine, reading
from consumer.database.pooler import check_pooler, in_words
from consumer.database.tables import SCHEMA_VERSION, identity, metadata, schema_version
from consumer.dead_letters.store import Letters
from consumer.errors import LedgerError, NoLedger, OldLedger
from consumer.ledger.cycles import Cycles
from consumer.ledger.instances import Instances
from consumer.ledger.intake import Intake
from consumer.ledger.leases import Leases
from consumer.ledger.orders import Orders
from consumer.ledger.outbox import Outbox
from consumer.ledger.probes import Probes
from consumer.ledger.promotions import Promotions
from consumer.ledger.refusals import Refusals
from consumer.ledger.replays import Replays
from consumer.ledger.retention.marking import Pruning
from consumer.ledger.retrain_requests import RetrainRequests
from consumer.ledger.views import Views
from consumer.ledger.watching.notifications import Notifications
from consumer.ledger.watching.samples import Samples
from consumer.ledger.watching.training import Training
from consumer.ledger.watching.unlearned import Unlearned
from schemas.log_events.service import LEDGER_IN_OTHER_HANDS
from schemas.private import FILE, narrow, private_file, private_folder

log = structlog.get_logger()

_LONGEST_MIGRATION = 120.0
"""Seconds; of a ledger of millions it takes longer than any other transaction is let hold the lock."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger, by its users. Safe to use from several threads and processes."""

    engine: Engine
    ledger_id: str
    """The id that tells this ledger from others; a copy of the ledger has the same."""
    intake: Intake
    cycles: Cycles
    leases: Leases
    instances: Instances
    retrain_requests: RetrainRequests
    views: Views
    letters: Letters
    probes: Probes
    refusals: Refusals
    replays: Replays
    promotions: Promotions
    orders: Orders
    pruning: Pruning
    outbox: Outbox
    samples: Samples
    training: Training
    unlearned: Unlearned
    notifications: Notifications

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()


def open_ledger(url: str, *, create: bool = True) -> Ledger:
    """The ledger at an SQLAlchemy URL of SQLite or PostgreSQL.

    A missing ledger is made, and an earlier release's is brought up to date, unless `create` is off.

    Raises:
        NoLedger: the ledger is not there.
        OldLedger: an earlier release made the ledger.
        LedgerError: the ledger cannot be opened, or a later release made it.
    """
    file = file_of(url)
    if file and not create and not file.exists():
        raise not_there(url)
    engine = make_engine(url)
    try:
        if file and create:
            _have_file(file)
        check_pooler(engine)
        with reading(engine) as connection:
            found = _schema(connection)
        if create and (found is None or found < SCHEMA_VERSION):
            found = _while_others_do(_bring_up_to_date, engine)
        _check(url, found)
        return _on(engine)
    except BaseException as error:
        engine.dispose()
        if isinstance(error, DatabaseError | OSError):
            reason = in_words(str(refusal(url, getattr(error, "orig", None) or error)))
            raise LedgerError(f"cannot open the ledger {shown(url)}: {reason}") from error
        raise


def ledger_on(engine: Engine, url: str) -> Ledger:
    """The ledger that an engine leads to; `url` names it in errors, which are those of `open_ledger`."""
    with reading(engine) as connection:
        found = _schema(connection)
    _check(url, found)
    return _on(engine)


def _on(engine: Engine) -> Ledger:
    with reading(engine) as connection:
        ledger_id = connection.scalars(select(identity.c.ledger_id)).one()
    return Ledger(
        engine,
        ledger_id,
        Intake(engine, ledger_id),
        Cycles(engine),
        Leases(engine),
        Instances(engine),
        RetrainRequests(engine),
        Views(engine),
        Letters(engine),
        Probes(engine),
        Refusals(engine),
        Replays(engine),
        Promotions(engine),
        Orders(engine),
        Pruning(engine),
        Outbox(engine),
        Samples(engine),
        Training(engine),
        Unlearned(engine),
        Notifications(engine),
    )


def _have_file(file: Path) -> None:
    """Make the file before SQLite does, for the owner alone: SQLite gives the files beside a ledger the same mode."""
    if not file.parent.exists():
        file.parent.parent.mkdir(parents=True, exist_ok=True)
        private_folder(file.parent)
    private_file(file)
    for beside in ("-wal", "-shm", "-journal"):
        narrow(file.with_name(f"{file.name}{beside}"), FILE)


def _check(url: str, found: int | None) -> None:
    if found is None:
        raise not_there(url)
    found_is = f"the ledger {shown(url)} has schema {found}, this release needs {SCHEMA_VERSION}"
    if found < SCHEMA_VERSION:
        raise OldLedger(f"{found_is}: `retrainer run` brings it up to date")
    if found > SCHEMA_VERSION:
        raise LedgerError(f"{found_is}: use the release that made it, or a later one")


def _bring_up_to_date(engine: Engine) -> int:
    """Make or migrate the tables in one transaction, so that one of several processes does, and gives the schema."""
    with engine.begin() as connection:
        found = _schema(connection)
        if found is None:
            metadata.create_all(connection)
            connection.execute(schema_version.insert().values(version=SCHEMA_VERSION))
            connection.execute(identity.insert().values(ledger_id=uuid4().hex))
        elif found < SCHEMA_VERSION:
            from consumer.database.migrations import migrate

            migrate(connection, found)
        return max(found or 0, SCHEMA_VERSION)


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and any(sign in str(error.orig) for sign in ("locked", "lock timeout"))


def _say_so(state: RetryCallState) -> None:
    log.info(LEDGER_IN_OTHER_HANDS, attempts=state.attempt_number)


_while_others_do = Retrying(
    retry=retry_if_exception(_is_locked),
    wait=wait_random(0, 0.5),
    stop=stop_after_delay(_LONGEST_MIGRATION),
    before_sleep=_say_so,
    reraise=True,
)
"""Instances that start at once find each other at the same migration: one makes it, the others wait for its end."""


def _schema(connection: Connection) -> int | None:
    """The version of the ledger's tables; None where there are none yet."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    return connection.scalar(select(schema_version.c.version))


def file_of(url: str) -> Path | None:
    """The file of an SQLite ledger; None for any other."""
    address = make_url(url)
    place = address.database if address.get_backend_name() == "sqlite" else None
    return Path(place) if place and place != ":memory:" and not place.startswith("file:") else None


def not_there(url: str) -> NoLedger:
    """The error for a ledger that is not there."""
    setting = "RETRAINER_STATE_DIR" if file_of(url) else "RETRAINER_LEDGER__URL"
    return NoLedger(f"there is no ledger at {shown(url)}: nothing has run here yet, or {setting} is another")
