"""The description of the API for machines, OpenAPI 3.1, written from the code.

python -m consumer.http.openapi            writes consumer/http/openapi.json, which is served
python -m consumer.http.openapi --check    exit code 1 when the file is not what the code says
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from consumer.http.answers import MOST_CYCLES, MOST_POINTS, MOST_VERSIONS
from consumer.http.asked import CYCLE_ID, LARGEST_VERSION
from consumer.http.orders import ORDERS
from consumer.http.pages import OPENAPI
from consumer.ledger.past_cycles import State
from schemas.api import answers
from schemas.cycle import CycleKind

_COMPONENTS = "#/components/schemas/{model}"
_ERRORS = {
    400: "The request is malformed, or a parameter is wrong.",
    401: "The token is missing or wrong.",
    403: "The host is none of ours, the order comes from another site's page, or no token is set.",
    404: "There is no such thing.",
    405: "Not by this method.",
    409: "The state of the ledger does not allow it; nothing is changed.",
    413: "The order is too large.",
    415: "The order is not JSON.",
    503: "The ledger does not answer, or there is too much to do; try again.",
}
_ORDERS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "retrain": ("Ask for a cycle now", "A cycle is asked for.", answers.RetrainAnswer),
    "pause": ("Let no cycle start", "Cycles are paused.", answers.PauseAnswer),
    "resume": ("Let cycles start again", "Cycles start again.", answers.EndedAnswer),
    "promote": ("Make a version champion", "The version is champion.", answers.PromotionAnswer),
    "rollback": ("Go back to an earlier champion", "The earlier version is champion.", answers.PromotionAnswer),
    "pin": ("Keep the champion", "The champion is pinned.", answers.PinAnswer),
    "unpin": ("Let challengers become champion again", "The champion is not pinned any more.", answers.EndedAnswer),
}
"""What each order is called, what has happened then, and the answer."""


def document() -> dict[str, Any]:
    """The whole document."""
    models = sorted({*_answers(), *ORDERS.values()}, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_COMPONENTS)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Retrainer",
            "version": "1",
            "summary": "What a service does and has done, and orders of a person.",
            "description": "Later releases may add fields to answers. Times are ISO 8601 in UTC, where nothing else is "
            "said.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {**_of_probes(), **_of_questions(), **_of_orders()},
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _answers() -> list[type[BaseModel]]:
    return [
        answers.ErrorAnswer,
        answers.StatusAnswer,
        answers.CyclesAnswer,
        answers.PastCycle,
        answers.VersionsAnswer,
        answers.RegisteredVersion,
        answers.ReportsAnswer,
        answers.SamplesAnswer,
        *(answer for _, _, answer in _ORDERS.values()),
    ]


def _of_probes() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    metrics = {**text, "application/openmetrics-text": {"schema": {"type": "string"}}}
    return {
        "/healthz": _get("health", "Whether the listener polls and no cycle is held", text, of_503=text),
        "/readyz": _get("readiness", "Whether this instance has caught up and its ledger answers", text, of_503=text),
        "/metrics": _get("metrics", "Metrics for Prometheus", metrics, 404),
    }


def _of_questions() -> dict[str, Any]:
    cycle = _in_path("cycle_id", {"type": "string", "pattern": CYCLE_ID})
    version = _in_path("version", {"type": "integer", "minimum": 1, "maximum": LARGEST_VERSION})
    page = {"text/html": {"schema": {"type": "string"}}}
    whole = {"application/json": {"schema": {"type": "object"}}}
    of_cycles = [
        _in_query("limit", "At most so many.", _number(20, MOST_CYCLES)),
        _in_query("before", "Earlier than this cycle.", {"type": "string", "pattern": CYCLE_ID}),
        _in_query("outcome", "Only cycles that ended so, or run; may come again.", _words(State)),
        _in_query("kind", "Only cycles of this kind; may come again.", _words(CycleKind)),
    ]
    of_versions = [_in_query("limit", "At most so many.", _number(100, MOST_VERSIONS))]
    of_samples = [
        _in_query("since", "The last day by default.", {"type": "string", "format": "date-time"}),
        _in_query("points", "At most so many.", _number(300, MOST_POINTS)),
    ]
    minutes = "How the service was, minute by minute"
    return {
        "/api/v1/status": _get("status", "How the service is", _json(answers.StatusAnswer), 400),
        "/api/v1/cycles": _get("cycles", "Cycles, newest first", _json(answers.CyclesAnswer), 400, asked=of_cycles),
        "/api/v1/cycles/{cycle_id}": _get("cycle", "One cycle", _json(answers.PastCycle), 404, asked=[cycle]),
        "/api/v1/versions": _get(
            "versions", "The newest versions, oldest first", _json(answers.VersionsAnswer), 400, asked=of_versions
        ),
        "/api/v1/versions/{version}": _get(
            "version", "One version", _json(answers.RegisteredVersion), 404, asked=[version]
        ),
        "/api/v1/reports": _get("reports", "Cycles with a report here", _json(answers.ReportsAnswer), 400),
        "/api/v1/reports/{cycle_id}": _get("report", "The report of a cycle", page, 400, 404, asked=[cycle]),
        "/api/v1/samples": _get("samples", minutes, _json(answers.SamplesAnswer), 400, asked=of_samples),
        "/api/v1/openapi.json": _get("openapi", "This document", whole),
    }


def _of_orders() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for name, model in ORDERS.items():
        summary, done, answer = _ORDERS[name]
        status, body = "202" if name == "retrain" else "200", _json(model)
        paths[f"/api/v1/orders/{name}"] = {
            "post": {
                "operationId": name,
                "summary": summary,
                "security": [{"token": []}],
                "requestBody": {"required": True, "content": body},
                "responses": {
                    status: {"description": done, "content": _json(answer)},
                    **_errors(400, 401, 403, 405, 409, 413, 415, 503),
                },
            }
        }
    return paths


def _get(
    name: str,
    summary: str,
    content: dict[str, Any],
    *errors: int,
    asked: list[dict[str, Any]] | None = None,
    of_503: dict[str, Any] | None = None,
) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": content}, **_errors(*{400, 403, 405, 503, *errors})}
    if of_503 is not None:
        responses["503"] = {"description": "It is not; the lines say why.", "content": of_503}
    parameters = {"parameters": asked} if asked else {}
    return {"get": {"operationId": name, "summary": summary, **parameters, "responses": responses}}


def _errors(*statuses: int) -> dict[str, Any]:
    return {
        str(status): {"description": _ERRORS[status], "content": _json(answers.ErrorAnswer)}
        for status in sorted(statuses)
    }


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _COMPONENTS.format(model=model.__name__)}}}


def _in_path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _number(default: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


def _words(among: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"enum": [one.value for one in among]}}


def render() -> str:
    """The document as it is written."""
    return json.dumps(document(), indent=1, sort_keys=True) + "\n"


def main() -> int:
    """Write the document, or check it; returns the exit code."""
    if "--check" in sys.argv[1:]:
        current = OPENAPI.exists() and OPENAPI.read_text() == render()
        if not current:
            print("consumer/http/openapi.json is not current: run `make schemas`")
        return 0 if current else 1
    OPENAPI.write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
