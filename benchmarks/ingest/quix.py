"""The peer: Quix Streams keeps the same changed-user set in its state store. In `.venv-quix`, with no import of ours.

    .venv-quix/bin/python benchmarks/ingest/quix.py GUARANTEE BROKER TOPIC EVENTS FOLDER

prints one line of JSON as benchmarks/ingest/sides.py does, and leaves what it kept in `FOLDER/kept.tsv`. Everything
that is not named here is left at its default: changelog topics are on, and a checkpoint is taken every five seconds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from quixstreams import Application, State, message_context
from rocksdict import AccessType, Rdict

FEATURE_GROUP_ID = 13


class ChangedUsers:
    """What our ledger keeps of a user, kept in Quix's state of the user's key."""

    def __init__(self) -> None:
        self.first_at = 0.0

    def remember(self, event: Any, _key: object, timestamp: int, headers: Any, state: State) -> None:
        """One more event of the user whose state this is."""
        if not self.first_at:
            self.first_at = time.perf_counter()
        if event["featureGroupId"] != FEATURE_GROUP_ID or "user_id" not in event["entry"]:
            return
        at = message_context()
        position = f"{at.topic}[{at.partition}]@{at.offset}"
        known = state.get("change") or {"events": 0, "first": position, "first_event_at": timestamp}
        known["operation"] = "delete" if ("operation", b"delete") in (headers or ()) else "upsert"
        known["events"] += 1
        known["last"] = position
        known["last_event_at"] = max(timestamp, known.get("last_event_at", 0))
        known["received_at"] = time.time()
        state.set("change", known)


def main() -> int:
    """Read as the command line says."""
    guarantee, broker, topic, count, folder = sys.argv[1:]
    app = Application(
        broker_address=broker,
        consumer_group=f"quix-{time.time_ns()}",
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        state_dir=folder,
        loglevel="ERROR",
    )
    users = ChangedUsers()
    stream = app.dataframe(app.topic(topic, value_deserializer="json"))
    stream.update(users.remember, stateful=True, metadata=True)
    app.run(count=int(count), collect=False)
    ended = time.perf_counter()
    lines, following = [], {}
    for store in sorted(Path(folder).glob(f"*/default/{topic}/*")):
        database = Rdict(str(store), access_type=AccessType.read_only())
        last = -1
        for key, value in database.items():
            user, change = key.split(b"|")[0].decode(), json.loads(value)
            lines.append(f"{user}\t{change['events']}\t{change['first']}\t{change['last']}\n")
            last = max(last, int(change["last"].rpartition("@")[2]))
        following[store.name] = last + 1
    (Path(folder) / "kept.tsv").write_text("".join(sorted(lines)))
    print(json.dumps({"seconds": ended - users.first_at, "next": following}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
