"""Files of the page for people, out of the package."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from consumer.http.problems import Problem

STATIC = Path(__file__).parent / "static"
OPENAPI = Path(__file__).parent / "openapi.json"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
"""Kinds of files that are served; any other in the folder is not."""


class Files:
    """The files of a folder, by their paths in it; the folder is looked through once."""

    def __init__(self, folder: Path = STATIC) -> None:
        found = [path for path in folder.rglob("*") if path.is_file() and path.suffix in _TYPES]
        self._files = {path.relative_to(folder).as_posix(): path for path in found}

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return self._answer("index.html", request)

    async def file(self, request: Request) -> Response:
        """Any file of the folder."""
        return self._answer(request.path_params["path"], request)

    async def openapi(self, _request: Request) -> Response:
        """The description of the API for machines."""
        return Response(OPENAPI.read_bytes(), media_type="application/json", headers={"cache-control": "no-cache"})

    def _answer(self, name: str, request: Request) -> Response:
        path = self._files.get(name)  # a name that is none of these leads nowhere, whatever is in it
        if path is None:
            raise Problem(404, f"there is no file {name!r}", "the page is at /, the API below /api/v1")
        content = path.read_bytes()
        tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers={**headers, "content-type": _TYPES[path.suffix]})
