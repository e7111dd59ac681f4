"""A check of the certificate files before a client uses them, while the wrong file can still be named."""

from __future__ import annotations

import ssl

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import SettingsError

_K = "RETRAINER_KAFKA__"


def check(kafka: KafkaSettings) -> None:
    """Read what the settings name.

    Raises:
        SettingsError: a file is not what it should be; the message names setting and path.
    """
    for name, path in (("SSL_CAFILE", kafka.ssl_cafile), ("SASL_OAUTH_CAFILE", kafka.sasl_oauth_cafile)):
        if path is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
            except (OSError, ValueError) as error:
                raise SettingsError(f"{_K}{name}: {path} holds no certificates in PEM ({error})") from None
    if kafka.ssl_certfile is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                kafka.ssl_certfile, kafka.ssl_keyfile, key_password(kafka)
            )
        except (OSError, ValueError) as error:
            raise SettingsError(_pair(kafka, error)) from None


def wrong(kafka: KafkaSettings) -> str | None:
    """What is wrong with the files, in the words of `check`; None if nothing is."""
    try:
        check(kafka)
    except SettingsError as error:
        return str(error)
    return None


def key_password(kafka: KafkaSettings) -> str:
    """Of the key file. Never None: OpenSSL would ask the terminal for it."""
    return kafka.ssl_password.get_secret_value() if kafka.ssl_password else ""


def _pair(kafka: KafkaSettings, error: Exception) -> str:
    key = f"{_K}SSL_KEYFILE: {kafka.ssl_keyfile}" if kafka.ssl_keyfile else f"{_K}SSL_CERTFILE: {kafka.ssl_certfile}"
    if "KEY_VALUES_MISMATCH" in str(error):
        return f"{key} holds no key for the certificate {kafka.ssl_certfile}"
    certificate = f"{_K}SSL_CERTFILE: {kafka.ssl_certfile} holds no certificate in PEM"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(kafka.ssl_certfile)
    except (OSError, ValueError):
        return f"{certificate} ({error})"
    wrong = "another password is needed" if kafka.ssl_password else "a password may be needed"
    return f"{key} holds no private key in PEM that can be read; {wrong}: {_K}SSL_PASSWORD ({error})"
