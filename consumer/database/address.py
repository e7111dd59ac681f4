"""The address of a ledger: how it is shown, and how the server at it is verified.

A password goes to a verified server only. Off this machine that is a server whose certificate is checked, unless the
address, or libpq's own variables, explicitly say otherwise; and even then no password goes there in a form that an
impostor could use: neither in clear, nor as an MD5 that can be guessed offline.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from sqlalchemy import URL
from sqlalchemy.engine import make_url

from consumer.masking import HIDDEN, masked

VERIFIED = "verify-full"

_VARIABLES = {"sslmode": "PGSSLMODE", "require_auth": "PGREQUIREAUTH", "host": "PGHOST", "hostaddr": "PGHOSTADDR"}
"""Parameters that decide here, and the variables by which libpq takes them from the environment."""

_NOT_IN_CLEAR, _NOTHING_TO_TRY = "!password", "!password,!md5"

_HARMLESS = frozenset(
    {
        "application_name",
        "cache",
        "channel_binding",
        "check_same_thread",
        "client_encoding",
        "connect_timeout",
        "gssencmode",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "mode",
        "passfile",
        "port",
        "require_auth",
        "service",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "target_session_attrs",
        "tcp_user_timeout",
        "timeout",
        "uri",
    }
)
"""Parameters of libpq and of SQLite whose values are no secrets."""

_SHORTEST = 4  # a shorter "secret" is a word that stands everywhere

_WAYS_OUT = {
    "root certificate": "name the file of the server's authority, `sslrootcert=/path/ca.pem` in RETRAINER_LEDGER__URL",
    "certificate verify failed": "`sslrootcert=/path/ca.pem` in RETRAINER_LEDGER__URL names the server's authority",
    "does not match host name": "write the host in RETRAINER_LEDGER__URL as its certificate has it",
    "does not support SSL": (
        f"off this machine the connection has to be {VERIFIED}: turn on `ssl` in the server, or take what travels in "
        "clear upon you with `sslmode=disable` in RETRAINER_LEDGER__URL"
    ),
    "method requirement": (
        "have the server ask by scram-sha-256 (`password_encryption`, pg_hba.conf), or reach it by "
        f"`sslmode={VERIFIED}` in RETRAINER_LEDGER__URL"
    ),
}
"""What to do, by what libpq says."""


def shown(url: str) -> str:
    """The address of a ledger, fit to be printed."""
    return masked(make_url(url).render_as_string(hide_password=True), _HARMLESS)


def secured(address: URL, environment: Mapping[str, str]) -> dict[str, str]:
    """Parameters that libpq needs beside the address of a server, so that no password goes where it does not belong."""
    added: dict[str, str] = {}
    here = _on_this_machine(address, environment)
    mode = _said(address, environment, "sslmode")
    if mode is None and not here:
        mode = added["sslmode"] = VERIFIED
    if mode != VERIFIED and _said(address, environment, "require_auth") is None:
        added["require_auth"] = _NOT_IN_CLEAR if here else _NOTHING_TO_TRY
    return added


def weakness(url: str, environment: Mapping[str, str]) -> str | None:
    """Why an attacker between us and the server could read, or answer in its place; None where none could."""
    address = make_url(url)
    if address.get_backend_name() != "postgresql" or _on_this_machine(address, environment):
        return None
    mode = _said(address, environment, "sslmode") or VERIFIED
    if mode == VERIFIED:
        return None
    encrypts = {"require": "encrypts", "verify-ca": "encrypts and checks the authority"}.get(mode)
    does = f"{encrypts}, but does not check" if encrypts else "neither encrypts for certain nor checks"
    return f"sslmode={mode} to PostgreSQL {does} who answers; {VERIFIED}, with sslrootcert, does"


def refusal(url: str, error: object) -> str:
    """What a failed connection says, without secrets of the address, and with the way out where one is known."""
    said = str(error)
    address = make_url(url)
    hidden = {str(value) for name, value in address.query.items() if name.lower() not in _HARMLESS}
    for secret in sorted({*hidden, str(address.password or "")}, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            said = said.replace(secret, HIDDEN)
    ways = [way for sign, way in _WAYS_OUT.items() if sign in said]
    return f"{said.strip()}; {ways[0]}" if ways else said


def _said(address: URL, environment: Mapping[str, str], name: str) -> str | None:
    """A parameter, as the address has it or the environment; None where neither says anything."""
    given = address.query.get(name)
    return str(given) if given else environment.get(_VARIABLES[name]) or None


def _on_this_machine(address: URL, environment: Mapping[str, str]) -> bool:
    """Whether every server that the address may mean is reached without a network. `hostaddr` outranks names."""
    if _service(address, environment):
        return False  # a file names the server
    query = address.query
    places = query.get("hostaddr") or environment.get(_VARIABLES["hostaddr"])
    places = places or query.get("host") or address.host or environment.get(_VARIABLES["host"]) or ""
    listed = [places] if isinstance(places, str) else list(places)
    return all(_is_here(place.strip()) for places in listed for place in places.split(","))


def _service(address: URL, environment: Mapping[str, str]) -> bool:
    return bool(address.query.get("service") or environment.get("PGSERVICE"))


def _is_here(place: str) -> bool:
    """Whether a host is this machine. No host is the usual socket; a slash or an @ begins the name of a socket."""
    if not place or place[0] in "/@" or place == "localhost":
        return True
    try:
        return ip_address(place).is_loopback
    except ValueError:
        pass
    try:
        host = urlsplit(f"//{place}").hostname or ""  # `host:port`, as SQLAlchemy takes several
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
