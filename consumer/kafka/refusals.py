"""Why a broker cannot be used, in words that name the setting to look at and never hold a secret."""

from __future__ import annotations

import ssl

from kafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from pydantic import SecretStr

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka import tls_files
from consumer.kafka.net import Failure, origin
from consumer.kafka.oauth import shown

_K = "RETRAINER_KAFKA__"
_OF_CLIENT_CERTIFICATE = {
    "ALERT_BAD_CERT",
    "CERTIFICATE_REQUIRED",
    "UNKNOWN_CA",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "HANDSHAKE_FAILURE",
    "ACCESS_DENIED",
}
_OTHER_HOST = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_EXPIRED = 10


def in_words(failure: Failure, kafka: KafkaSettings) -> str:
    """One line: the address, what the failure means, and in parentheses what was said."""
    cause = origin(failure.error)
    if isinstance(cause, OSError) and (wrong := tls_files.wrong(kafka)) is not None:
        return without_secrets(f"{failure.address}: {wrong}", kafka)  # the file is being replaced, maybe
    said = _said(cause)
    meaning = _meaning(cause, said, kafka)
    return without_secrets(f"{failure.address}: {f'{meaning} ({said})' if meaning else said}", kafka)


def without_secrets(text: str, kafka: KafkaSettings) -> str:
    """The text without the secrets of the settings, wherever the text comes from."""
    for name in KafkaSettings.model_fields:
        secret = getattr(kafka, name)
        if isinstance(secret, SecretStr) and secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), "…")
    return text


def _said(error: BaseException) -> str:
    text = str(error.args[0]) if isinstance(error, KafkaError) and error.args else str(error)
    return text.removeprefix(f"{SaslAuthenticationFailedError.__name__}: ") or type(error).__name__


def _meaning(error: BaseException, said: str, kafka: KafkaSettings) -> str | None:
    if isinstance(error, SaslAuthenticationFailedError):
        if kafka.sasl_mechanism == "OAUTHBEARER":
            return f"the broker refuses the token of {shown(kafka.sasl_oauth_token_endpoint or '')}"
        credentials = f"{_K}SASL_USERNAME={kafka.sasl_username} or its password"
        return f"the broker refuses {credentials} for {kafka.sasl_mechanism}"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"the broker does not offer {_K}SASL_MECHANISM={kafka.sasl_mechanism} there"
    if isinstance(error, IllegalSaslStateError):
        return f"the broker wants no SASL there, see {_K}SECURITY_PROTOCOL={kafka.security_protocol}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _broker_certificate(error.verify_code, kafka)
    if isinstance(error, ssl.SSLEOFError) or "WRONG_VERSION_NUMBER" in said:
        return f"the broker speaks no TLS there, see {_K}SECURITY_PROTOCOL={kafka.security_protocol}"
    if isinstance(error, ssl.SSLError) and any(word in said for word in _OF_CLIENT_CERTIFICATE):
        if kafka.ssl_certfile is None:
            return f"the broker wants a client certificate: set {_K}SSL_CERTFILE and {_K}SSL_KEYFILE"
        return f"the broker refuses the client certificate {_K}SSL_CERTFILE={kafka.ssl_certfile}"
    if said == "I/O wait timed out":
        return f"no answer to the TLS handshake, see {_K}SECURITY_PROTOCOL={kafka.security_protocol}"
    if said.startswith("Invalid frame length"):
        return f"what answers there is no Kafka or speaks TLS, see {_K}SECURITY_PROTOCOL={kafka.security_protocol}"
    if said == "socket disconnected":
        expected = f"{_K}SECURITY_PROTOCOL={kafka.security_protocol}"
        return f"the broker closed the connection; if it goes on to, see whether {expected} is what it speaks there"
    return None


def _broker_certificate(code: int, kafka: KafkaSettings) -> str:
    if code in _OTHER_HOST:
        return f"the broker's certificate is for another host, see {_K}SSL_CHECK_HOSTNAME"
    if code == _EXPIRED:
        return "the broker's certificate has expired, or an authority's"
    if kafka.ssl_cafile is None:
        return f"no authority that this machine knows signed the broker's certificate: set {_K}SSL_CAFILE"
    return f"no authority in {_K}SSL_CAFILE={kafka.ssl_cafile} signed the broker's certificate"
