"""Listeners by which a broker is reached as it is in production: TLS, client certificates, SASL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.brokers.oauth import AUDIENCE, ISSUER, TokenIssuer
from tests.tls.certificates import Pki

USER = "retrainer"
PASSWORD = "swordfish-42"  # noqa: S105  (of tests)
NOWHERE = "127.0.0.1:9"

_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_MODULES = "org.apache.kafka.common.security"
_VALIDATOR = f"{_MODULES}.oauthbearer.OAuthBearerValidatorCallbackHandler"


@dataclass(frozen=True)
class Security:
    """Five listeners more, with certificates of `pki` and tokens of `issuer`.

    `SSL` requires a client certificate; `SASL` is SASL_SSL with PLAIN, SCRAM and OAUTHBEARER; `SCRAM` is without TLS
    and offers SCRAM-SHA-512 alone; `ELSEWHERE` is SSL with a certificate for another host; `AWAY` is SSL, and sends
    its clients on to an address where nobody answers.
    """

    pki: Pki
    issuer: TokenIssuer

    @property
    def protocols(self) -> dict[str, str]:
        """The security protocol of each listener."""
        return {"SSL": "SSL", "SASL": "SASL_SSL", "SCRAM": "SASL_PLAINTEXT", "ELSEWHERE": "SSL", "AWAY": "SSL"}

    @property
    def advertised(self) -> dict[str, str]:
        """Listeners that tell their clients another address than their own."""
        return {"AWAY": NOWHERE}

    @property
    def jvm(self) -> list[str]:
        """What the broker's JVM has to allow."""
        return [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.issuer.jwks.as_uri()}"]

    @property
    def format(self) -> list[str]:
        """Users that are there from the beginning."""
        users = [f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in _SCRAM]
        return [part for user in users for part in ("--add-scram", user)]

    def properties(self, folder: Path) -> list[str]:
        """Lines of `server.properties`; what they name is written into `folder`."""
        elsewhere = self.pki.issue("elsewhere", ["broker.elsewhere.test"])
        other = folder / "elsewhere.pem"
        other.write_text(elsewhere.key_pem + elsewhere.pem)
        plain = f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        scram = f"{_MODULES}.scram.ScramLoginModule required;"
        sasl = "listener.name.sasl"
        return [
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self.pki.server_file}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self.pki.ca_file}",
            "listener.name.ssl.ssl.client.auth=required",
            "listener.name.elsewhere.ssl.keystore.type=PEM",
            f"listener.name.elsewhere.ssl.keystore.location={other}",
            f"{sasl}.sasl.enabled.mechanisms=PLAIN,OAUTHBEARER,{','.join(_SCRAM)}",
            f"{sasl}.plain.sasl.jaas.config={plain}",
            *(f"{sasl}.{mechanism.lower()}.sasl.jaas.config={scram}" for mechanism in _SCRAM),
            f"listener.name.scram.sasl.enabled.mechanisms={_SCRAM[1]}",
            f"listener.name.scram.{_SCRAM[1].lower()}.sasl.jaas.config={scram}",
            f"{sasl}.oauthbearer.sasl.jaas.config={_MODULES}.oauthbearer.OAuthBearerLoginModule required;",
            f"{sasl}.oauthbearer.sasl.server.callback.handler.class={_VALIDATOR}",
            f"{sasl}.sasl.oauthbearer.jwks.endpoint.url={self.issuer.jwks.as_uri()}",
            f"{sasl}.sasl.oauthbearer.expected.audience={AUDIENCE}",
            f"{sasl}.sasl.oauthbearer.expected.issuer={ISSUER}",
            # By default Kafka 4.1 believed any token: it did not look at signature or expiry.
            f"{sasl}.sasl.oauthbearer.jwt.validator.class={_MODULES}.oauthbearer.BrokerJwtValidator",
            f"{sasl}.sasl.oauthbearer.clock.skew.seconds=0",
        ]
