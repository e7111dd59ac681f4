"""The webhook as a receiver sees it: signed by the book, to one place, without a word about its secrets."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook, WebhookVerificationError

import schemas
from consumer.configuration.model_events import ModelEventSettings
from consumer.configuration.webhook import keys_of
from consumer.errors import SettingsError
from consumer.model_events.webhook import WebhookSender
from consumer.sending.ports import Gone, NotSent
from consumer.sending.posting import shown
from consumer.sending.signing import signed_headers
from consumer.settings import load_settings
from schemas.model_events import ModelEvent
from tests.tls.certificates import Pki
from tests.unit.consumer.sending.receiver import Receiver, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  (that of the standard's examples)
OTHER = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
GOLDEN = Path(schemas.__file__).parent / "golden" / "model_event.json"
EVENT = ModelEvent.model_validate_json(GOLDEN.read_text())


def keys(secret: str) -> tuple[bytes, ...]:
    found = ModelEventSettings.model_validate({"webhook_secret": secret}).webhook_secret
    assert found is not None
    return keys_of(found)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def test_a_receiver_verifies_it_with_the_library_and_reads_a_cloud_event(receiver: Receiver) -> None:
    WebhookSender(receiver.url, keys(SECRET)).send(EVENT)
    ((headers, body),) = receiver.came
    low = {name.lower(): text for name, text in headers.items()}
    assert Webhook(SECRET).verify(body, low) == json.loads(body)
    assert low["webhook-id"] == EVENT.id
    event = from_http_event(HTTPMessage(headers=low, body=body))
    assert (event.get_type(), event.get_id(), event.get_source()) == (EVENT.type.value, EVENT.id, EVENT.source)
    assert event.get_data() == EVENT.data.model_dump(mode="json")


def test_what_was_changed_on_the_way_or_signed_by_another_is_refused(receiver: Receiver) -> None:
    WebhookSender(receiver.url, keys(SECRET)).send(EVENT)
    ((headers, body),) = receiver.came
    low = {name.lower(): text for name, text in headers.items()}
    for secret, told in ((OTHER, body), (SECRET, body.replace(b'"version":2', b'"version":3'))):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(told, low)


def test_while_a_secret_is_changed_both_verify() -> None:
    body = EVENT.body()
    headers = signed_headers(keys(f"{OTHER} {SECRET}"), EVENT.id, datetime.now(UTC).timestamp(), body)
    assert all(Webhook(secret).verify(body, headers) for secret in (SECRET, OTHER))


def test_the_signature_of_the_standard_s_own_example() -> None:
    """https://github.com/standard-webhooks/standard-webhooks: the test vector of its libraries."""
    found = signed_headers(keys(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("code", [301, 302, 307, 308, 400, 404, 429, 500, 503])
def test_anything_but_a_receipt_is_a_failure_and_no_redirect_is_followed(receiver: Receiver, code: int) -> None:
    receiver.will(code, Location=receiver.url, Retry_After="7")
    with pytest.raises(NotSent, match=str(code)) as caught:
        WebhookSender(receiver.url, keys(SECRET)).send(EVENT)
    assert caught.value.asked == 7.0
    assert len(receiver.came) == 1
    assert "secret" not in str(caught.value)
    assert "s3" not in str(caught.value)


def test_gone_is_told_apart(receiver: Receiver) -> None:
    receiver.will(410)
    with pytest.raises(Gone):
        WebhookSender(receiver.url, keys(SECRET)).send(EVENT)


def test_nobody_there_is_a_failure_that_shows_no_secret(receiver: Receiver) -> None:
    nowhere = receiver.url.replace(receiver.url.split(":")[2].partition("/")[0], "1")
    with pytest.raises(NotSent) as caught:
        WebhookSender(nowhere, keys(SECRET)).send(EVENT)
    assert "very-secret" not in str(caught.value)


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    known, unknown = Pki(tmp_path / "known"), Pki(tmp_path / "unknown")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(known.server_file)
    with receiving(context) as receiver:
        WebhookSender(receiver.url, keys(SECRET), known.ca_file).send(EVENT)
        with pytest.raises(NotSent, match="certificate verify failed"):
            WebhookSender(receiver.url, keys(SECRET), unknown.ca_file).send(EVENT)
    assert len(receiver.came) == 1


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown("https://hooks.example.com:8443/services/T0/B0/xyz?a=b#c") == "https://hooks.example.com:8443/…"


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"WEBHOOK": "http://example.com/x"}, "must be an https"),
        ({"WEBHOOK": "https://user:word@example.com/x"}, "credentials"),
        ({"WEBHOOK": "https://example.com/x"}, "RETRAINER_MODEL_EVENTS__WEBHOOK_SECRET_FILE"),
        ({"WEBHOOK_SECRET": "whsec_c2hvcnQ="}, "24 to 64 bytes"),
        ({"WEBHOOK_SECRET": "bm90IGEgc2VjcmV0IG9mIHRoZSBzdGFuZGFyZA=="}, "whsec_"),
        ({"WEBHOOK_SECRET": "whsec_???"}, "24 to 64 bytes"),
        ({"WEBHOOK_CAFILE": "/nowhere.pem"}, "cannot read"),
        ({"TOPIC": "spotify_user_embeddings_changes"}, "RETRAINER_MODEL_EVENTS__TOPIC"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    named: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in named.items():
        monkeypatch.setenv(f"RETRAINER_MODEL_EVENTS__{name}", text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert told in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_the_secret_comes_from_a_file_and_is_not_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv("RETRAINER_MODEL_EVENTS__WEBHOOK", "https://example.com/hooks/xyz")
    monkeypatch.setenv("RETRAINER_MODEL_EVENTS__WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("RETRAINER_MODEL_EVENTS__TOPIC", "")
    found = load_settings().model_events
    assert found.topic is None
    assert found.webhook_secret is not None
    assert keys_of(found.webhook_secret) == keys(SECRET)
    assert "xyz" not in repr(found)
    assert SECRET not in repr(found)
