"""Throw-away certificates as a Hopsworks cluster hands them out: an authority, servers, and the project's own user.

Elliptic-curve keys, since they take milliseconds. Everything expires within days.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.tls.keystores import key_store, trust_store

LIFETIME = datetime.timedelta(days=3)

_CLOCK_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Identity:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The private key, PKCS 8, not encrypted."""
        return self._key(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        """The certificate in binary."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_der(self) -> bytes:
        """The private key in binary, PKCS 8, not encrypted."""
        return self._key(serialization.Encoding.DER)

    def _key(self, encoding: serialization.Encoding) -> bytes:
        return self.key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Pki:
    """An authority of its own, a server certificate for `sans`, and the client certificate of a project's user."""

    def __init__(
        self, folder: Path, sans: Iterable[str] = ("127.0.0.1", "localhost"), user: str = "spotify__tester"
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.password = x509.random_serial_number().to_bytes(20, "big").hex()
        self._authority = _authority("Hopsworks double")
        server = self.issue("double-server", sans)
        client = self.issue(user)
        self.ca_pem = self._authority.pem
        self.server_pem, self.server_key_pem = server.pem + self.ca_pem, server.key_pem
        self.client_pem, self.client_key_pem = client.pem + self.ca_pem, client.key_pem
        self.key_store = key_store(client.key_der, [client.der, self._authority.der], self.password)
        self.trust_store = trust_store([self._authority.der], self.password)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_text(self.ca_pem)
        self.server_file = folder / "server.pem"
        self.server_file.touch(mode=0o600)
        self.server_file.write_text(self.server_key_pem + self.server_pem)

    def issue(self, common_name: str, sans: Iterable[str] = ()) -> Identity:
        """A certificate of this authority, good for servers and clients; `sans` are host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = (
            _builder(common_name, self._authority.certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.key.public_key()), critical=False
            )
        )
        alternatives = [_alternative(name) for name in sans]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return Identity(builder.sign(self._authority.key, hashes.SHA256()), key)


def _authority(common_name: str) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    signing = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(common_name, _name(common_name), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(signing, critical=True)
    )
    return Identity(builder.sign(key, hashes.SHA256()), key)


def _builder(common_name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
