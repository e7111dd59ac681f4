"""One for other processes: `python -m tests.hopsworks_double FOLDER [--kafka HOST:PORT] [--offline] [--labels]`."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from schemas.features import FeatureGroup
from schemas.labels import LabelGroup
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess


def main() -> None:
    """Run until SIGTERM or SIGINT; one line of JSON says when it is ready, and how to find it."""
    parser = argparse.ArgumentParser(prog="python -m tests.hopsworks_double", description=__doc__)
    parser.add_argument("folder", type=Path, help="for keys and certificates")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="a broker without TLS")
    parser.add_argument("--offline", action="store_true", help="a group without an online store")
    parser.add_argument("--labels", action="store_true", help="a label group as well")
    arguments = parser.parse_args()
    ends = {signal.SIGTERM, signal.SIGINT}
    # Before any thread starts, so that all of them inherit it and only sigwait sees the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    kafka = KafkaAccess(bootstrap_servers=arguments.kafka) if arguments.kafka else None
    labels = LabelGroup() if arguments.labels else None
    spec = ClusterSpec(group=FeatureGroup(), online=not arguments.offline, labels=labels, label_history=False)
    with HopsworksDouble(arguments.folder, spec, kafka) as double:
        print(json.dumps({"environment": double.environment()}), flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
