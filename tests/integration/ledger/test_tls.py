"""A PostgreSQL over a network: who answers has to show a certificate for the name that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy.engine import make_url

from consumer.errors import LedgerError
from consumer.ledger.ledger import open_ledger
from tests.databases.postgresql import PostgreSQL
from tests.tls.certificates import Pki

ELSEWHERE = "0.0.0.0"  # noqa: S104  (leads here, by an address that is not known to)


@pytest.fixture
def pki(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Pki]:
    """The authority of a server that speaks TLS meanwhile, by the name of another machine."""
    made = Pki(tmp_path, sans=(ELSEWHERE,))
    with postgresql.speaking_tls(made.server_pem, made.server_key_pem):
        yield made


def there(postgresql: PostgreSQL, **query: str) -> str:
    """The server, by the address of another machine."""
    address = make_url(postgresql.new_schema()).set(host=ELSEWHERE).update_query_dict(query)
    return address.render_as_string(hide_password=False)


def encrypted(url: str) -> bool:
    ledger = open_ledger(url)
    try:
        with ledger.engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar()
            return bool(found)
    finally:
        ledger.close()


def test_a_server_with_the_right_certificate_is_spoken_to_by_tls(postgresql: PostgreSQL, pki: Pki) -> None:
    assert encrypted(there(postgresql, sslrootcert=str(pki.ca_file)))


def test_one_whose_authority_is_not_known_is_refused_with_the_way_out(
    postgresql: PostgreSQL, pki: Pki, tmp_path: Path
) -> None:
    other = Pki(tmp_path / "other").ca_file
    for file in (other, tmp_path / "nowhere.pem"):
        with pytest.raises(LedgerError, match=r"`sslrootcert=/path/ca\.pem` in RETRAINER_LEDGER__URL"):
            open_ledger(there(postgresql, sslrootcert=str(file)))


def test_one_that_bears_another_name_is_refused(postgresql: PostgreSQL, tmp_path: Path) -> None:
    other = Pki(tmp_path, sans=("db.example",))
    with (
        postgresql.speaking_tls(other.server_pem, other.server_key_pem),
        pytest.raises(LedgerError, match="write the host in RETRAINER_LEDGER__URL as its certificate has it"),
    ):
        open_ledger(there(postgresql, sslrootcert=str(other.ca_file)))


def test_one_that_speaks_no_tls_is_refused_unless_that_is_said_in_so_many_words(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(Pki(tmp_path).ca_file))
    with pytest.raises(LedgerError, match="turn on `ssl` in the server") as refused:
        open_ledger(there(postgresql))
    assert quote("p@ss") not in str(refused.value)
    assert not encrypted(there(postgresql, sslmode="disable"))  # by SCRAM: the password does not go there
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert not encrypted(there(postgresql))


def test_on_this_machine_nothing_changes(postgresql: PostgreSQL) -> None:
    assert not encrypted(postgresql.new_schema())
