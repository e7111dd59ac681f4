"""python -m examples.serving --brokers localhost:9092 --topic retrainer.model-versions --state var --port 8080

Serves the champion of the service whose state folder is `var`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from pathlib import Path
from types import FrameType

from examples.serving.events import follow
from examples.serving.served import Place
from examples.serving.serving import Serving
from examples.serving.web import web_server


def main() -> None:
    """Follow the topic, and answer, until SIGTERM."""
    parser = argparse.ArgumentParser(description="Serve similar users by the champion.")
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--topic", default="retrainer.model-versions")
    parser.add_argument("--model", default="two_tower_recommender", help="its name in the registry")
    parser.add_argument("--state", type=Path, default=Path("var"), help="the service's RETRAINER_STATE_DIR")
    parser.add_argument("--registry", type=Path, help="the registry's folder, where it is not STATE/registry")
    parser.add_argument("--feature-store", type=Path, help="the store's file, where it is not STATE/feature_store.db")
    parser.add_argument("--vectors", type=Path, help="a folder of vector sets; without it the server computes vectors")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    place = Place(
        (asked.registry or asked.state / "registry") / asked.model,
        asked.feature_store or asked.state / "feature_store.db",
        asked.vectors,
    )
    stopping = threading.Event()
    serving = Serving(place)
    web = web_server(serving, asked.host, asked.port)
    threading.Thread(target=web.serve_forever, daemon=True).start()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    follow(asked.brokers, asked.topic, asked.model, serving.serve, stopping)
    web.shutdown()
    serving.close()


if __name__ == "__main__":
    main()
