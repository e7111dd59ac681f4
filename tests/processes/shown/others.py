"""The lines of the documents that are commands of other programs, and for each why no test runs it as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.processes.shown.commands import Shown, lines_of_code
from tests.processes.test_tutorial import SET_UP, commands
from tests.unit.project.code import ROOT
from tests.unit.project.pages import named

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_PROGRAMS = (
    "make docker docker-compose podman podman-compose buildah kubectl helm systemctl systemd-run journalctl crontab "
    "prometheus promtool pip python python3 openssl keytool jq chown apt apt-get alias"
)
_NAMES = "|".join(_PROGRAMS.split())
_SCHEDULE = r"(?:[\d*/,-]+ ){4}[\d*/,A-Za-z-]+ +[a-z.]"  # five fields of a crontab, and a command behind them
_TYPED = re.compile(rf"^(?:\$ )?(?:(?:sudo |[A-Z_]+=\S* +)*(?:{_NAMES}) (?!.*──)|{_SCHEDULE})")
_SPOKEN = re.compile(rf"`((?:sudo )?(?:{_NAMES}) [^`]+|{_SCHEDULE}[^`]*)`")

_INSTALLS = "installs from a package index; .ci/run installs from the lock"
_CONTAINER = "needs an image and engine; tests/container has podman build it and start the compose file"
_CLUSTER = "needs a Hopsworks cluster; its commands run on the double, the compose file is held by tests/container"
_MEASURES = "minutes to hours of measuring on an idle machine; tests/processes/test_benchmarks.py has the parts"
_WRITES = "rewrites files of the checkout; `make lint` has each of its programs check instead"
_DRAWS = "draws the pictures of the documents anew"
_KEYS = "asks for passwords, of a key store of the reader's"
_TESTS = "runs tests itself"
_DEMO = ".ci/run runs it, and tests/processes/test_demo_commands.py what it starts"

NOT_RUN: dict[str, str] = {
    "make demo": _DEMO,
    "make demo DATA=path/to/user_artists.dat": "needs a listening log; .ci/run runs it where there is one",
    "make demo HOPSWORKS=double": _DEMO,
    "make setup": "makes the .venv that the tests run in",
    "make docs": "builds the site, as `make lint` does; tests/unit/project/test_site.py holds its parts",
    "make schemas": _WRITES,
    "make lock": "asks a package index for every dependency",
    "make plots": _DRAWS,
    "make test": _TESTS,
    "make test-all": _TESTS,
    "make test-container": _TESTS,
    "make crash": "an hour of kills; tests/crash has a run of twenty",
    "make soak": "two hours; tests/soak has the parts",
    "make soak MINUTES=2": "minutes on a Kafka of its own; tests/soak has the parts",
    "make soak WATCHED=1 MINUTES=60": "an hour with a browser; tests/soak has the parts",
    "make fuzz": "an hour; tests/fuzz has the parts",
    "make gate-study": _MEASURES,
    "make bench": _MEASURES,
    "make bench ONLY=ingest.": _MEASURES,
    "make bench ONLY=serve.": _MEASURES,
    "make bench ONLY=fit.step": _MEASURES,
    "make bench ONLY=scale. KEEP=1": _MEASURES,
    "make bench ONLY=sizing. KEEP=1": _MEASURES,
    "make bench ONLY=spaces.": _MEASURES,
    "make sbom": ".ci/run runs it for an image; tests/unit/project/test_supply.py has the parts",
    "make sbom IMAGE=retrainer": "needs an image; .ci/run runs it on the one of the container test",
    "make scan": "asks for advisories over the network; .ci/run runs it",
    "make scan IMAGE=retrainer": "needs an image; .ci/run runs it on the one of the container test",
    "docker build -t retrainer .": _CONTAINER,
    "docker run --name retrainer --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges --volume "
    "retrainer:/var/lib/retrainer --env RETRAINER_KAFKA__BOOTSTRAP_SERVERS=broker:9092 retrainer": _CONTAINER,
    "docker exec retrainer retrainer status": _CONTAINER,
    "docker exec retrainer retrainer versions": _CONTAINER,
    "docker inspect": "names the command; a call needs a container, and tests/container calls it",
    "docker compose ps": "needs an engine; it only looks",
    "docker compose up": _CONTAINER,
    "docker compose up --build": _CONTAINER,
    "docker compose up --no-deps retrainer": _CONTAINER,
    "docker compose --profile demo up --build": _CONTAINER,
    "docker compose --profile demo down": _CONTAINER,
    "docker compose --profile observability up --build": "pulls two public images; tests/unit/project/"
    "test_monitoring.py holds what they are given, tests/integration/loop/test_alerts.py lets a Prometheus watch",
    "docker compose exec retrainer retrainer versions": _CONTAINER,
    "docker compose -f docker-compose.hopsworks.yml up --build --detach": _CLUSTER,
    "docker compose -f docker-compose.hopsworks.yml exec retrainer retrainer status": _CLUSTER,
    "docker compose -f docker-compose.hopsworks.yml --profile bridge up --detach bridge": _CLUSTER,
    "alias retrainer='docker compose -f docker-compose.hopsworks.yml run --rm retrainer'": _CLUSTER,
    "sudo chown -R 10001 secrets && sudo chmod -R go= secrets": "gives files to a user of the container",
    "chown -R 10001 secrets && chmod -R go= secrets": "gives files to a user of the container",
    "*/10 * * * * retrainer status --check": "cron would run it; the command in it runs for docs/alerts.md",
    "pip install .": _INSTALLS,
    "pip install --upgrade .": _INSTALLS,
    "pip install '.[demo]'": _INSTALLS,
    "pip install 'retrainer[chat]'": _INSTALLS,
    "pip install 'retrainer[demo]'": _INSTALLS,
    "pip install 'retrainer[ray]'": _INSTALLS,
    "pip install 'retrainer[tracing]'": _INSTALLS,
    "pip install 'tensorflow[and-cuda]'": _INSTALLS,
    "pip install kafka-python": "another release than the lock's, for a figure",
    "python3 -m venv var/venv": "tests/processes/test_tutorial.py runs in a venv that is there",
    "python -m benchmarks --recorded": "tests/processes/test_benchmarks.py runs it",
    "python -m benchmarks.records": _WRITES,
    "python -m consumer.cycles.lifecycle.table": _WRITES,
    "python -m consumer.health": "tests/unit/consumer/test_health.py and tests/container call it",
    "python -m examples.serving --topic retrainer.model-versions --state var --vectors vectors": (
        "tests/integration/loop/test_serving.py runs this server beside a service"
    ),
    "python -m tests.browser.screenshots": _DRAWS,
    "python -m tests.contract.watching.test_metrics_cost": _MEASURES,
    "python -m tests.soak --judge FOLDER": "needs the folder of two hours",
    "python -m tests.soak.catchups": "a minute on a Kafka of its own, on an idle machine",
    "python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\" > webhook": (
        "a secret of the reader's; tests/unit/consumer/model_events/test_webhook.py signs with one of this form"
    ),
    "openssl rand -hex 32 > token": "the stand makes the token before the service starts",
    "openssl pkcs12 -in client.p12 -out client.pem": _KEYS,
    "keytool -importkeystore -srckeystore client.jks -destkeystore client.p12 -deststoretype pkcs12": _KEYS,
    "keytool -list -rfc -keystore truststore.jks > ca.pem": _KEYS,
    "apt-get update": "changes the machine",
    "jq -r '.components[] | [.name, .version, (.licenses // [] | map(.expression // .license.id // .license.name) | "
    'join(" and "))] | @tsv\' build/sbom.json': "reads what `make sbom` writes",
}
"""By the text of the line, without its comment, wherever it stands."""


def others() -> Iterator[Shown]:
    """Every such line, and every such piece between backticks; those that the test of the tutorial runs left out."""
    for page in PAGES:
        run = commands(page) if page in SET_UP else ""
        text = page.read_text()
        for number, line in lines_of_code(page):
            if _TYPED.match(line) and line not in run:
                yield Shown(named(page), number, " ".join(line.removeprefix("$ ").split()))
        for match in _SPOKEN.finditer(text):
            yield Shown(named(page), text.count("\n", 0, match.start()) + 1, " ".join(match[1].split()))
