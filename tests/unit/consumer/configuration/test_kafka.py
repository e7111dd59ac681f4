"""How Kafka's security is set: what does not fit together is refused with the way out, and no secret is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import SettingsError
from consumer.kafka import tls_files
from consumer.kafka.net import Failure
from consumer.kafka.options import admin_options, client_options, consumer_options, producer_options
from consumer.kafka.refusals import in_words
from consumer.settings import load_settings
from tests.tls.certificates import Pki

_TLS = {"SECURITY_PROTOCOL": "SSL"}
_BY_PASSWORD = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "u", "SASL_PASSWORD": "p"}
_BY_TOKEN = {
    "SECURITY_PROTOCOL": "SASL_SSL",
    "SASL_MECHANISM": "OAUTHBEARER",
    "SASL_OAUTH_TOKEN_ENDPOINT": "https://sso.example/token",
    "SASL_OAUTH_CLIENT_ID": "me",
    "SASL_OAUTH_CLIENT_SECRET": "hush-hush",
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in list(os.environ):
        if name.startswith("RETRAINER_"):
            monkeypatch.delenv(name)

    def loaded(given: dict[str, str], without: str | None = None) -> KafkaSettings:
        for name, value in given.items():
            if name != without:
                monkeypatch.setenv(f"RETRAINER_KAFKA__{name}", value)
        return load_settings().kafka

    return loaded


def test_nothing_is_secured_unless_that_is_said(load: Any) -> None:
    options = client_options(load({}))
    assert options["security_protocol"] == "PLAINTEXT"
    assert options["ssl_password"] == "", "without one, OpenSSL would ask the terminal"
    assert not {"ssl_cafile", "ssl_certfile", "sasl_mechanism", "sasl_oauth_token_provider"} & options.keys()


def test_everything_reaches_every_client(load: Any, pki: Pki) -> None:
    files = {"SSL_CAFILE": str(pki.ca_file), "SSL_CERTFILE": str(pki.server_file), "SSL_KEYFILE": str(pki.server_file)}
    kafka = load({**_BY_PASSWORD, **files, "SSL_PASSWORD": "pp", "SSL_CHECK_HOSTNAME": "false"})
    wanted = {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(pki.ca_file),
        "ssl_certfile": str(pki.server_file),
        "ssl_keyfile": str(pki.server_file),
        "ssl_password": "pp",
        "ssl_check_hostname": False,
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }
    for options in (admin_options(kafka), producer_options(kafka), consumer_options(kafka, grouped=True)):
        assert wanted.items() <= options.items()


def test_one_provider_of_tokens_is_shared_by_all_clients(load: Any) -> None:
    kafka = load(_BY_TOKEN)
    first, second = (options(kafka)["sasl_oauth_token_provider"] for options in (admin_options, producer_options))
    assert first is second


@pytest.mark.parametrize(
    ("given", "without", "messages"),
    [
        (_BY_PASSWORD, "SASL_MECHANISM", ["SASL_SSL needs RETRAINER_KAFKA__SASL_MECHANISM: PLAIN, SCRAM-SHA-256"]),
        (_BY_PASSWORD, "SECURITY_PROTOCOL", ["needs RETRAINER_KAFKA__SECURITY_PROTOCOL=SASL_SSL, not PLAINTEXT"]),
        (_BY_PASSWORD, "SASL_USERNAME", ["SASL_MECHANISM=PLAIN needs RETRAINER_KAFKA__SASL_USERNAME"]),
        (_BY_PASSWORD, "SASL_PASSWORD", ["SASL_MECHANISM=PLAIN needs RETRAINER_KAFKA__SASL_PASSWORD"]),
        (_BY_TOKEN, "SASL_OAUTH_TOKEN_ENDPOINT", ["OAUTHBEARER needs RETRAINER_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT"]),
        (_BY_TOKEN, "SASL_OAUTH_CLIENT_SECRET", ["OAUTHBEARER needs RETRAINER_KAFKA__SASL_OAUTH_CLIENT_SECRET"]),
        (
            {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "OAUTHBEARER"},
            None,
            ["SASL_OAUTH_TOKEN_ENDPOINT and RETRAINER_KAFKA__SASL_OAUTH_CLIENT_ID and RETRAINER_KAFKA__"],
        ),
        ({**_TLS, "SSL_KEYFILE": __file__}, None, ["SSL_KEYFILE is of no use without", "SSL_CERTFILE"]),
        ({**_TLS, "SSL_PASSWORD": "hush-hush"}, None, ["SSL_PASSWORD is of no use without"]),
        ({"SSL_CAFILE": __file__}, None, ["SSL_CAFILE is of no use with", "PLAINTEXT: set that to SSL, or"]),
        ({**_TLS, "SSL_CAFILE": "no/ca"}, None, ["RETRAINER_KAFKA__SSL_CAFILE: ", "cannot read no/ca: No such"]),
        ({**_TLS, "SSL_CERTFILE": "."}, None, ["RETRAINER_KAFKA__SSL_CERTFILE: ", "cannot read .: Is a directory"]),
        ({"SASL_MECHANISM": "GSSAPI"}, None, ["RETRAINER_KAFKA__SASL_MECHANISM: ", "'OAUTHBEARER'"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(
    load: Any, given: dict[str, str], without: str | None, messages: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(given, without)
    assert all(message in str(caught.value) for message in messages), caught.value
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://sso.example/token", True),
        ("http://localhost:8080/token", True),
        ("http://127.0.0.9/token", True),
        ("http://[::1]:80/token", True),
        ("http://sso.example/token", False),
        ("http://localhost.example/token", False),
        ("https://", False),
        ("file:///etc/passwd", False),
        ("sso.example/token", False),
        ("https://me:hush-hush@sso.example/token", False),
        ("https://[hush-hush", False),
    ],
)
def test_the_secret_is_sent_over_https_or_not_out_of_this_machine(load: Any, url: str, allowed: bool) -> None:
    given = {**_BY_TOKEN, "SASL_OAUTH_TOKEN_ENDPOINT": url}
    if allowed:
        assert load(given).sasl_oauth_token_endpoint == url
        return
    with pytest.raises(SettingsError, match="RETRAINER_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT: ") as caught:
        load(given)
    assert "hush-hush" not in str(caught.value)


def test_secrets_come_from_files_and_are_not_shown(load: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush-hush\n")
    names = ("SASL_PASSWORD", "SSL_PASSWORD", "SASL_OAUTH_CLIENT_SECRET")
    files = {f"{name}_FILE": str(tmp_path / "secret") for name in names}
    kafka = load({**files, "SECURITY_PROTOCOL": "SSL", "SSL_CERTFILE": __file__})
    for secret in (kafka.sasl_password, kafka.ssl_password, kafka.sasl_oauth_client_secret):
        assert isinstance(secret, SecretStr)
        assert secret.get_secret_value() == "hush-hush"
    assert "hush-hush" not in repr(kafka) + kafka.model_dump_json()


def test_a_user_s_name_is_escaped_for_scram_and_only_for_that(load: Any) -> None:
    named = {**_BY_PASSWORD, "SASL_USERNAME": "a,b=c"}
    assert client_options(load(named))["sasl_plain_username"] == "a,b=c"
    assert client_options(load({**named, "SASL_MECHANISM": "SCRAM-SHA-256"}))["sasl_plain_username"] == "a=2Cb=3Dc"


def test_a_file_that_is_not_what_it_should_be_is_named(load: Any, pki: Pki, tmp_path: Path) -> None:
    certificate, key, other = (tmp_path / name for name in ("client.pem", "client.key", "other.key"))
    certificate.write_text(pki.client_pem)
    key.write_text(pki.client_key_pem)
    other.write_text(pki.server_key_pem)
    good = {"SECURITY_PROTOCOL": "SSL", "SSL_CERTFILE": str(certificate), "SSL_KEYFILE": str(key)}
    tls_files.check(load({**good, "SSL_CAFILE": str(pki.ca_file), "SASL_OAUTH_CAFILE": str(pki.ca_file)}))
    for wrong, message in (
        ({"SSL_CAFILE": str(key)}, f"SSL_CAFILE: {key} holds no certificates in PEM"),
        ({"SASL_OAUTH_CAFILE": __file__, "SSL_CAFILE": str(pki.ca_file)}, f"SASL_OAUTH_CAFILE: {__file__} holds no"),
        (
            {"SSL_CERTFILE": str(key), "SASL_OAUTH_CAFILE": str(pki.ca_file)},
            f"SSL_CERTFILE: {key} holds no certificate",
        ),
        ({"SSL_KEYFILE": str(other)}, f"SSL_KEYFILE: {other} holds no key for the certificate {certificate}"),
        ({"SSL_KEYFILE": __file__}, f"SSL_KEYFILE: {__file__} holds no private key in PEM that can be read"),
    ):
        with pytest.raises(SettingsError) as caught:
            tls_files.check(load({**good, **wrong}))
        assert message in str(caught.value)


def test_what_a_broker_says_is_told_without_our_secrets(load: Any) -> None:
    failure = Failure("b:9093", ValueError("you said p4ssword"))
    assert in_words(failure, load({**_BY_PASSWORD, "SASL_PASSWORD": "p4ssword"})) == "b:9093: you said …"
