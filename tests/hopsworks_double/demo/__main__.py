"""`make demo HOPSWORKS=double`: the demo with a Hopsworks cluster in the place of the local store and registry.

The cluster is the tests' double; SDK, service and trainer are what runs against a real one. Rows are written by
`fg.insert`, read online by key and offline as a whole, and versions are registered in the model registry.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from retrainer.demo import audience as listeners
from retrainer.demo import lastfm
from retrainer.demo.demo import Demo
from retrainer.demo.errors import DemoError
from retrainer.demo.plan import Plan
from retrainer.demo.screen import Screen
from retrainer.demo.state import claimed
from retrainer.demo.story import Story
from retrainer.demo.summary import closing, opening
from schemas.features import FeatureGroup
from schemas.labels import LabelGroup
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess

_LOCAL = ("RETRAINER_FEATURE_STORE", "RETRAINER_MODEL_REGISTRY")


@dataclass(frozen=True, kw_only=True)
class ClusterPlan(Plan):
    """A demo on a cluster, which is started when the broker is there."""

    double: HopsworksDouble

    @property
    def stage(self) -> str:
        return (
            f"The Hopsworks cluster at https://{self.double.host} is a double; SDK, broker, service and trainer "
            "are the real ones, on this machine"
        )

    @property
    def simulator(self) -> list[str]:
        log = [str(self.data)] if self.data else []
        return [sys.executable, "-m", "tests.hopsworks_double.demo.simulate", str(self.users), *log]

    def settings(self, broker: str) -> dict[str, str]:
        self.double.cluster.kafka = KafkaAccess(bootstrap_servers=broker)
        self.double.start()
        settings = super().settings(broker)
        del settings["RETRAINER_KAFKA__BOOTSTRAP_SERVERS"]  # the cluster says where its Kafka is
        return settings | self.double.environment()

    def places(self) -> list[tuple[str, Path]]:
        return [
            ("ledger", self.state / "ledger.db"),
            ("versions as fetched", self.state / "trainer" / "versions"),
            ("service's log", self.log_of("service")),
        ]


def main() -> int:
    """Run the demo; exit code as that of `retrainer demo`."""
    for hangup in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(hangup, signal.default_int_handler)
    asked = argparse.ArgumentParser(prog="python -m tests.hopsworks_double.demo")
    asked.add_argument("data", nargs="?", type=Path)
    asked.add_argument("--waves", type=int, default=Plan.waves)
    told = asked.parse_args()
    data: Path | None = told.data
    source = lastfm if data else listeners
    state = Path("var/demo-hopsworks")
    with claimed(state):
        group = FeatureGroup(name=source.GROUP, columns=source.COLUMNS)
        labels = LabelGroup() if Plan(state=state, data=data).following else None
        double = HopsworksDouble(state / "cluster", ClusterSpec(group=group, labels=labels))
        plan = ClusterPlan(state=state, data=data, waves=told.waves, double=double)
        story = Story()
        screen = Screen(story)
        opening(screen.console, plan)
        try:
            with screen:
                succeeded = Demo(plan, story, screen).run()
        except DemoError as error:
            print(f"demo: {error}", file=sys.stderr)
            succeeded = False
        except KeyboardInterrupt:
            return 130
        finally:
            double.stop()
        closing(screen.console, story, plan)
        versions = sorted(double.registry.models)
        screen.console.print(f"in the cluster's registry: {', '.join(versions)}", style="bold")
    return 0 if succeeded else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # gRPC's threads keep the interpreter from ending
