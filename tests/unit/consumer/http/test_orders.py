"""Orders by HTTP: with the token alone, from no other site's page, and into the ledger as by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from consumer.database.tables import retrain_requests
from consumer.ledger.ledger import Ledger
from schemas.api.answers import (
    EndedAnswer,
    ErrorAnswer,
    PauseAnswer,
    PinAnswer,
    PromotionAnswer,
    RetrainAnswer,
)
from tests.contract.ledgers import P0, batch
from tests.unit.consumer.http.served import TOKEN, Served, serve

NAMES = ("retrain", "pause", "resume", "promote", "rollback", "pin", "unpin")


@pytest.fixture
def served(ledger: Ledger, tmp_path: Path) -> Iterator[Served]:
    found = serve(ledger, tmp_path)
    with found.client:
        yield found


def wrong(answer: Any) -> ErrorAnswer:
    return ErrorAnswer.model_validate_json(answer.text)


def untouched(served: Served) -> bool:
    """Whether no order has come through."""
    standing = served.ledger.orders.standing(0.0)
    asked = served.ledger.retrain_requests.open("operator")
    return (standing.pin, standing.pause, standing.hold_down, asked) == (None, None, None, None)


def test_without_a_token_set_no_order_is_taken_whatever_is_sent(ledger: Ledger, tmp_path: Path) -> None:
    served = serve(ledger, tmp_path, token=None)
    for name, token in product(NAMES, (None, "", TOKEN, "None")):
        answer = served.order(name, token, version=1)
        assert answer.status_code == 403
        assert "RETRAINER_HTTP__TOKEN_FILE" in wrong(answer).error.way_out
    assert untouched(served)


def test_a_wrong_token_is_refused(served: Served) -> None:
    near = [f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
    for name, given in product(NAMES, [None, "", "Bearer", "Bearer ", *near]):
        headers = {} if given is None else {"authorization": given.encode("latin-1")}
        answer = served.client.post(f"/api/v1/orders/{name}", json={"reason": "why", "version": 1}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN not in answer.text
    assert untouched(served)


def test_the_page_of_another_site_gives_no_orders_even_with_the_token(served: Served) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1.evil.example:8642"):
        answer = served.client.post(
            "/api/v1/orders/pause",
            json={"reason": "why"},
            headers={"authorization": f"Bearer {TOKEN}", "origin": origin},
        )
        assert answer.status_code == 403, origin
    assert untouched(served)
    ours = {"authorization": f"bearer {TOKEN}", "origin": "http://127.0.0.1:8642"}
    assert served.client.post("/api/v1/orders/pause", json={"reason": "why"}, headers=ours).status_code == 200


def test_cycles_are_paused_and_start_again(served: Served) -> None:
    found = PauseAnswer.model_validate_json(served.order("pause", by="Ada").text)
    stood = served.ledger.orders.paused()
    assert stood is not None
    assert (stood.by, stood.reason) == ("Ada", "a test") == (found.pause.by, found.pause.reason)
    assert found.running_cycle == served.cycles[-1]
    ended = EndedAnswer.model_validate_json(served.order("resume").text)
    assert ended.ended == found.pause
    assert served.ledger.orders.paused() is None
    again = served.order("resume")
    assert (again.status_code, "not paused" in wrong(again).error.what) == (409, True)


def test_who_says_no_name_is_named_by_the_address(served: Served) -> None:
    served.order("pause")
    stood = served.ledger.orders.paused()
    assert stood is not None
    assert stood.by == "HTTP from testclient"


def test_the_champion_is_pinned_and_not_pinned_any_more(served: Served) -> None:
    answer = served.order("pin", version=1)
    assert (answer.status_code, "is not the champion" in wrong(answer).error.what) == (409, True)
    assert PinAnswer.model_validate_json(served.order("pin", version=2).text).version == 2
    assert EndedAnswer.model_validate_json(served.order("unpin").text).ended.version == 2
    assert served.order("unpin").status_code == 409


def test_a_rollback_and_a_promotion_move_the_champion(served: Served) -> None:
    back = PromotionAnswer.model_validate_json(served.order("rollback", by="Ada", instead_of=2).text)
    assert (back.version, back.previous, back.by, back.withdrawn) == (1, 2, "Ada", (2,))
    assert back.hold_down_until is not None
    assert served.ledger.views.history().champion == 1
    forth = PromotionAnswer.model_validate_json(served.order("promote", version=2).text)
    assert (forth.version, forth.previous) == (2, 1)
    assert served.ledger.views.history().champion == 2


def test_a_champion_that_is_another_by_now_is_left_alone(served: Served) -> None:
    for name in ("promote", "rollback"):
        answer = served.order(name, version=1, instead_of=1)
        assert answer.status_code == 409
        assert "nothing is changed" in wrong(answer).error.what
    assert served.ledger.views.history().champion == 2
    assert served.order("promote", version=7).status_code == 409


def test_a_cycle_is_asked_for_with_its_reason_and_the_limits_that_are_waived(served: Served) -> None:
    answer = served.order("retrain")
    assert (answer.status_code, "nothing is pending" in wrong(answer).error.what) == (409, True)
    offset = served.ledger.intake.positions("t")[P0]
    served.ledger.intake.record(batch(P0, offset, ["a"], now=9500.0))
    answer = served.order("retrain", by="Ada", accept=["refused_share"])
    found = RetrainAnswer.model_validate_json(answer.text)
    assert (answer.status_code, found.kind, found.running_cycle) == (202, "incremental", served.cycles[-1])
    full = RetrainAnswer.model_validate_json(served.order("retrain", full=True).text)
    with served.ledger.engine.connect() as connection:
        rows = {row.number: row for row in connection.execute(select(retrain_requests))}
    first, second = rows[found.request], rows[full.request]
    assert (first.kind, first.by, first.accept, first.why) == (
        "incremental",
        "operator",
        ["refused_share"],
        "Ada: a test",
    )
    assert (second.kind, second.by, second.accept) == ("full", "operator", [])
    assert served.ledger.retrain_requests.why_full() is None  # that is what trainers ask for


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("pause", {"reason": ""}),
    ("pause", {"reason": "  "}),
    ("pause", {}),
    ("pause", {"reason": 5}),
    ("pause", {"reason": None}),
    ("pause", {"reason": "two\nlines"}),
    ("pause", {"reason": "\x1b[2J"}),
    ("pause", {"reason": "x" * 1001}),
    ("pause", {"reason": "why", "by": ""}),
    ("pause", {"reason": "why", "colour": "red"}),
    ("retrain", {"reason": "why", "full": "yes"}),
    ("retrain", {"reason": "why", "accept": ["everything"]}),
    ("retrain", {"reason": "why", "accept": "refused_share"}),
    ("promote", {"reason": "why"}),
    ("promote", {"reason": "why", "version": "1"}),
    ("promote", {"reason": "why", "version": 0}),
    ("promote", {"reason": "why", "version": 1.5}),
    ("promote", {"reason": "why", "version": 10**30}),
    ("rollback", {"reason": "why", "instead_of": True}),
]


def test_an_order_that_is_malformed_changes_nothing_and_says_what_is_wrong(served: Served) -> None:
    fields = ("reason", "by", "full", "accept", "version", "colour", "instead_of")
    for name, body in MALFORMED:
        answer = served.client.post(f"/api/v1/orders/{name}", json=body, headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 400, (body, answer.text)
        assert any(field in wrong(answer).error.what for field in fields)
    assert untouched(served)
    assert served.ledger.views.history().champion == 2


def test_what_is_no_json_object_is_refused(served: Served) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    for body in (b"", b"{", b"[]", b"null", b'"why"', b"\xff\xfe", b'{"reason": "\\ud800"}', b"[" * 9999):
        answer = served.client.post("/api/v1/orders/pause", content=body, headers=headers)
        assert answer.status_code == 400, answer.text
    assert untouched(served)


def test_an_order_is_json_and_says_so(served: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": kind}
        answer = served.client.post("/api/v1/orders/pause", content=b'{"reason": "why"}', headers=headers)
        assert answer.status_code == 415, kind
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json; charset=utf-8"}
    assert served.client.post("/api/v1/orders/pause", content=b'{"reason": "why"}', headers=headers).status_code == 200


def test_an_order_that_is_too_large_is_refused_whether_or_not_it_says_its_length(served: Served) -> None:
    large = json.dumps({"reason": "x" * 70_000}).encode()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    for content in (large, iter([large[:40_000], large[40_000:]])):
        answer = served.client.post("/api/v1/orders/pause", content=content, headers=headers)
        assert answer.status_code == 413
    assert untouched(served)


def test_an_order_that_there_is_not_is_not_found(served: Served) -> None:
    assert served.order("destroy").status_code == 404
    assert served.order("..").status_code == 404
