"""`make demo HOPSWORKS=double`: the demo with a Hopsworks cluster in the place of the local store and registry.

The cluster is the tests' double; SDK, service and trainer are what runs against a real one. Rows are written by
`fg.insert`, read online by key and offline as a whole, and versions are registered in the model registry.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from consumer.demo import lastfm, listeners
from consumer.demo.demo import Demo
from consumer.demo.ending import closing, opening
from consumer.demo.errors import DemoError
from consumer.demo.plan import Plan
from consumer.demo.screen import Screen
from consumer.demo.state import claimed
from consumer.demo.story import Story
from schemas.features import FeatureGroup
from schemas.labels import LabelGroup
from tests.hopsworks.double import ClusterSpec, HopsworksDouble, KafkaAccess

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
        return [sys.executable, "-m", "tests.hopsworks.simulate", str(self.users), *log]

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
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    source = lastfm if data else listeners
    state = Path("var/demo-hopsworks")
    with claimed(state):
        group = FeatureGroup(name=source.GROUP, columns=source.COLUMNS)
        labels = LabelGroup() if Plan(state=state, data=data).following else None
        double = HopsworksDouble(state / "cluster", ClusterSpec(group=group, labels=labels))
        plan = ClusterPlan(state=state, data=data, double=double)
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
