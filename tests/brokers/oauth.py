"""A token endpoint for tests: the client-credentials grant over HTTPS, with signed tokens that a broker can check."""

from __future__ import annotations

import base64
import json
import math
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT_ID = "retrainer"
CLIENT_SECRET = "s3cret/with+signs="  # noqa: S105  (of tests)
SCOPE = "kafka.read"
ISSUER = "https://issuer.test"
AUDIENCE = "kafka"

_KEY_ID = "k1"


class TokenIssuer:
    """Gives out tokens until it is closed. What it answers is changed by setting its attributes.

    Args:
        folder: for the public key, as a JWKS file.
        server_file: certificate chain and key of the endpoint, PEM.
    """

    def __init__(self, folder: Path, server_file: Path) -> None:
        self._key, self._forged = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [self._public()]}))
        self.behave()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.endpoint = f"https://127.0.0.1:{self._server.server_address[1]}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def behave(self) -> None:
        """Back to good answers."""
        self.expires_in = 300.0  # what it says
        self.lifetime = 300.0  # what the token says
        self.answer: tuple[int, bytes] | None = None
        self.forges = False
        self.given = 0

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def respond(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, bytes]:
        """Status and body for a request."""
        if self.answer is not None:
            return self.answer
        if authorization != _basic() or form != {"grant_type": ["client_credentials"], "scope": [SCOPE]}:
            return 401, b'{"error": "invalid_client", "error_description": "unknown client or wrong secret"}'
        self.given += 1
        body = {"access_token": self._token(), "token_type": "Bearer", "expires_in": self.expires_in}
        return 200, json.dumps(body).encode()

    def _token(self) -> str:
        now = time.time()
        header = {"alg": "RS256", "kid": _KEY_ID, "typ": "JWT"}
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": CLIENT_ID, "scope": SCOPE,
            "iat": now - 400, "exp": math.ceil(now + self.lifetime),
        }  # fmt: skip
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        key = self._forged if self.forges else self._key
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"

    def _public(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA", "kid": _KEY_ID, "use": "sig", "alg": "RS256",
            "n": _base64(numbers.n.to_bytes(256, "big")), "e": _base64(numbers.e.to_bytes(3, "big")),
        }  # fmt: skip


def _handler(issuer: TokenIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, body = issuer.respond(self.headers.get("Authorization", ""), form)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library names it)
            pass

    return Handler


def _basic() -> str:
    """What RFC 6749 2.3.1 wants: both parts are form-encoded first."""
    secret = CLIENT_SECRET.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")
    return "Basic " + base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
