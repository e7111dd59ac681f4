"""The ledger behind a PgBouncer: in session mode all is as without one, in other modes it is refused in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from consumer.database.engine import make_engine, reading
from consumer.errors import LedgerError
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Partition
from schemas.events import Operation
from tests.databases.pgbouncer import USER, pgbouncer
from tests.databases.postgresql import PostgreSQL

DROPS_OPTIONS = "ignore_startup_parameters = options"
TIMEOUTS = {
    "lock_timeout": "5s",
    "statement_timeout": "2min",
    "idle_in_transaction_session_timeout": "10s",
    "synchronous_commit": "on",
}


pytestmark = pytest.mark.usefixtures("pgbouncer_can_run")


def in_force(ledger: Ledger, *, writing: bool) -> dict[str, str]:
    """What a transaction of the ledger lives by."""
    with ledger.engine.begin() if writing else reading(ledger.engine) as connection:
        return {name: connection.exec_driver_sql(f"show {name}").scalar_one() for name in TIMEOUTS}


@pytest.mark.parametrize("more", ["", DROPS_OPTIONS], ids=["plain", "drops options"])
def test_in_session_mode_all_is_stored_and_the_timeouts_hold(postgresql: PostgreSQL, more: str) -> None:
    with pgbouncer(postgresql, "session", more=more) as url, closing(open_ledger(url)) as ledger:
        places = [Partition("t", number) for number in range(4)]
        ledger.intake.start_at(dict.fromkeys(places, 0), 0.0)

        def store(place: Partition) -> None:
            for offset in range(25):  # by then statements are prepared
                batch = Batch(received_at=1.0, progress={place: (offset, offset + 1)}, events={place: 1})
                batch.add(f"u{place.number}-{offset}", Operation.UPSERT, f"{place}@{offset}", 1.0)
                ledger.intake.record(batch)
                ledger.views.backlog()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(store, places))
        assert ledger.views.backlog().users == ledger.views.read().events == 100
        assert in_force(ledger, writing=True) == in_force(ledger, writing=False) == TIMEOUTS


def test_what_an_address_says_of_schema_and_timeouts_holds_there_too(postgresql: PostgreSQL) -> None:
    """PgBouncer would refuse it, or drop it without a word, and the tables would be made elsewhere."""
    with pgbouncer(postgresql, "session", more=DROPS_OPTIONS) as url:
        engine = make_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA ours")
        with closing(open_ledger(f"{url}?options=-csearch_path%3Dours%20-c%20lock_timeout%3D300ms")) as ledger:
            assert in_force(ledger, writing=True) == TIMEOUTS | {"lock_timeout": "300ms"}
        with engine.begin() as connection:
            found = connection.exec_driver_sql(
                "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_name = 'changes'"
            )
            assert found.scalars().all() == ["ours"]
        engine.dispose()


def test_a_lock_that_is_held_is_waited_for_no_longer_than_that(postgresql: PostgreSQL) -> None:
    with (
        pgbouncer(postgresql, "session") as url,
        closing(open_ledger(f"{url}?options=-clock_timeout%3D200ms")) as ledger,
    ):
        other = make_engine(url)
        with other.begin(), pytest.raises(DBAPIError, match="lock timeout"):
            ledger.intake.start_at({Partition("t", 0): 0}, 0.0)
        other.dispose()


@contextmanager
def traffic(url: str, clients: int) -> Iterator[None]:
    """Others, who use the same pool all the time."""
    stopping = threading.Event()

    def use() -> None:
        engine = make_engine(url).execution_options(reading=True)
        while not stopping.is_set():
            with engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("SELECT pg_sleep(0.002)")
        engine.dispose()

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(use)
        try:
            yield
        finally:
            stopping.set()


@pytest.mark.parametrize("more", ["", DROPS_OPTIONS, "server_round_robin = 1", "default_pool_size = 1"])
def test_in_transaction_mode_it_is_refused(postgresql: PostgreSQL, more: str) -> None:
    with (
        pgbouncer(postgresql, "transaction", more=more) as url,
        pytest.raises(LedgerError, match=r"set pool_mode = session .* or name the address of PostgreSQL itself"),
    ):
        open_ledger(url)


def test_a_pooler_without_room_is_told_with_the_way_out(postgresql: PostgreSQL) -> None:
    more = "default_pool_size = 1\nquery_wait_timeout = 2"
    with (
        pgbouncer(postgresql, "session", more=more) as url,
        pytest.raises(LedgerError, match=r"no session free; give it room for ten of each instance"),
    ):
        open_ledger(url)


def test_in_statement_mode_it_is_refused(postgresql: PostgreSQL) -> None:
    with (
        pgbouncer(postgresql, "statement") as url,
        pytest.raises(LedgerError, match="statement pooling mode; set pool_mode = session"),
    ):
        open_ledger(url)


def test_it_is_refused_in_transaction_mode_while_others_use_the_pool(postgresql: PostgreSQL) -> None:
    """The check may miss it then, by chance; each transaction of the ledger asks again."""
    with (
        pgbouncer(postgresql, "transaction") as url,
        traffic(url, 3),
        pytest.raises(LedgerError, match="pool_mode"),
        closing(open_ledger(url)) as ledger,
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(lambda _: ledger.views.backlog(), range(200)))


def test_a_pooler_that_changes_to_transaction_mode_later_is_noticed(postgresql: PostgreSQL) -> None:
    with pgbouncer(postgresql, "session", more=f"admin_users = {USER}") as url, closing(open_ledger(url)) as ledger:
        ledger.views.backlog()
        console = make_url(url).set(database="pgbouncer").render_as_string(hide_password=False)
        with psycopg.connect(console, autocommit=True) as connection:
            connection.execute("SET pool_mode = 'transaction'")
        with pytest.raises(LedgerError, match="pool_mode"), ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: ledger.views.backlog(), range(200)))
