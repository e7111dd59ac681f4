"""The API key: where to find it, and how it and other secrets stay out of everything that is written.

The key is read at every login, so that a new key works without a restart. Places, in order:

1. the file that `RETRAINER_HOPSWORKS__API_KEY_FILE` names;
2. the variable `HOPSWORKS_API_KEY`;
3. the Docker secret `/run/secrets/hopsworks_api_key`;
4. `../secrets/hopsworks_api_key.txt`, where the seed's notebook keeps it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from schemas.hopsworks import Hopsworks
from stores.errors import Unauthorized

KEY_VARIABLE = "HOPSWORKS_API_KEY"
USUAL_FILES = (Path("/run/secrets/hopsworks_api_key"), Path("../secrets/hopsworks_api_key.txt"))
HIDDEN = "[hidden]"

_SHORTEST = 4  # a shorter secret would blank out parts of ordinary words

_known: set[str] = set()


def api_key(cluster: Hopsworks) -> str:
    """The API key, as it is now.

    Raises:
        Unauthorized: there is no key; the message names the places.
    """
    found = _read(cluster.api_key_file) if cluster.api_key_file else _in_the_usual_places()
    if not found:
        raise Unauthorized(
            f"no API key for {cluster.host}: "
            + (f"{cluster.api_key_file} is empty" if cluster.api_key_file else f"neither {KEY_VARIABLE} nor ")
            + ("" if cluster.api_key_file else " nor ".join(map(str, USUAL_FILES)) + " holds one")
            + "; set RETRAINER_HOPSWORKS__API_KEY_FILE"
        )
    hide(found)
    return found


def key_source(cluster: Hopsworks) -> str:
    """The place that the key comes from, in words for people."""
    if cluster.api_key_file:
        return str(cluster.api_key_file)
    if os.environ.get(KEY_VARIABLE):
        return KEY_VARIABLE
    return next((str(path) for path in USUAL_FILES if path.is_file()), "nowhere")


def hide(secret: str | None) -> None:
    """Blank a secret out of every text that `redacted` gets from now on."""
    if secret and len(secret) >= _SHORTEST:
        _known.add(secret)


def redacted(text: str) -> str:
    """`text` with known secrets, and everything that looks like the header of an API key, blanked out."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return re.sub(r"(?i)\b(ApiKey|Bearer)\s+[^\s'\",}]+", rf"\1 {HIDDEN}", text)


def _in_the_usual_places() -> str:
    if key := os.environ.get(KEY_VARIABLE, "").strip(" \t\r\n\"'"):  # Docker keeps the quotes of an env file
        return key
    return next((_read(path) for path in USUAL_FILES if path.is_file()), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unauthorized(f"cannot read the API key from {path}: {error}") from None
