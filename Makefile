# What people type. Everything runs in .venv, made from the lock; nothing else on the machine is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DATA ?=
HOPSWORKS ?=
WAVES ?=
JOBS ?= 3
ONLY ?=
KEEP ?=
MESSAGES ?= 1000000
KILLS ?= 200
SEED ?= 1

.PHONY: setup demo test test-all durations flicker test-container fuzz crash soak bench gate-study plots sbom scan \
    lint format schemas docs docs-serve lock clean

setup: .venv/.ready

.venv/.ready: requirements/dev.txt pyproject.toml
	@echo "setting up .venv from requirements/dev.txt (about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "$(PYTHON) is not Python 3.11 to 3.13; say which is: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# HOPSWORKS=double: the same through the SDK of Hopsworks, on the tests' double of a cluster. WAVES: fewer or more waves.
demo: setup
	@case "$(HOPSWORKS)" in \
	    "") $(BIN)/retrainer demo $(if $(DATA),--data "$(DATA)") $(if $(WAVES),--waves $(WAVES));; \
	    double) $(BIN)/python -m tests.hopsworks_double.demo $(if $(DATA),"$(DATA)") $(if $(WAVES),--waves $(WAVES));; \
	    *) echo "HOPSWORKS=$(HOPSWORKS): there is only HOPSWORKS=double"; exit 2;; \
	esac

# Three files at a time, each in a process of its own with brokers of its own: most of the time they wait. The longest come
# first (tests/tiers/order.py), as the many small ones fill what the few long ones leave.
PYTEST_ARGS := --ignore tests/container --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

# Each of them on a thread of its own, too: more than there are cores wait for each other at every matrix product, which
# then takes ten times as long.
test test-all flicker: export OPENBLAS_NUM_THREADS = 1
test test-all flicker: export OMP_NUM_THREADS = 1
test test-all flicker: export TF_NUM_INTRAOP_THREADS = 1

# The quick tier: every promise on real parts, and whatever else is quick. See CONTRIBUTING.md.
test: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m "not full"

# All of them, faiss among our peers included; what CI runs.
test-all: .venv/.bench
	@mkdir -p build
	$(BIN)/python -m pytest $(PYTEST_ARGS) --junitxml build/tests.xml

# All of them once more, and what each file took into tests/tiers/durations.json. Leave the machine alone.
durations: test-all
	$(BIN)/python -m tests.tiers.durations build/tests.xml

# All of them RUNS times, LOADED of the runs beside a load on every core (stress-ng); TIER="not full" for the quick ones.
flicker: RUNS ?= 5
flicker: LOADED ?= 2
flicker: TIER ?=
flicker: .venv/.bench
	$(BIN)/python -m tests.tiers.flicker --runs $(RUNS) --loaded $(LOADED) $(PYTEST_ARGS) -m "$(TIER)"

# Needs root and a Debian machine, but no Docker engine: podman and what it needs come from Debian. Five minutes at first.
test-container: setup
	RETRAINER_CONTAINER_TESTS=1 $(BIN)/python -m pytest tests/container -x -o log_cli=true --log-cli-level=INFO

# MINUTES for each of the four fuzzed decoders, then MESSAGES mutated events, and a tenth as many rows, through Kafka,
# listener and ledger: a million leave tests/fuzz/results.json. An input that breaks something lies in build/fuzz and is
# tried again by `python -m tests.fuzz.decoders TARGET FILE`.
fuzz: MINUTES ?= 10
fuzz: setup
	@mkdir -p build/fuzz
	@for target in notification ingestion batch wire; do \
	    $(BIN)/python -m tests.fuzz.decoders $$target -max_total_time=$$(($(MINUTES) * 60)) -artifact_prefix=build/fuzz/ \
	        -verbosity=0 -print_final_stats=1 || exit 1; \
	done
	$(BIN)/python -m tests.fuzz.flood $(MESSAGES)

# The service on a real Apache Kafka that comes and goes, commits all the time, and whether anything grows: exit code 1
# where it does. WATCHED=1: with the page open in a browser, and scraped; STEADY=1: the broker stays. It needs Java and
# Maven, and is nice to the others on the machine. See docs/runs.md.
soak: MINUTES ?= 120
soak: .venv/.bench
	nice -n 5 $(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(WATCHED),--watched) $(if $(STEADY),--steady)

# The service on an Apache Kafka, killed KILLS times at named points and at random times; every 16 kills and at the end
# everything is counted. Fewer than 200 kills leave their results in build/, not in tests/crash/results.json.
crash: setup
	$(BIN)/python -m tests.crash --kills $(KILLS) --seed $(SEED)

# Peers side by side with ours: a table, and benchmarks/results.json. About ten minutes; leave the machine alone.
# Each kind of machine has its own record there. ONLY=pairs. measures the rows whose names begin so; KEEP=1 puts them into
# the record, with the machine and the day. DATA: a listening log of real users, where not beside the checkout.
bench: .venv/.bench
	$(BIN)/python -m benchmarks $(if $(ONLY),--only "$(ONLY)") $(if $(KEEP),--keep) $(if $(DATA),--lastfm "$(DATA)")

# How often the gate errs: by simulation, on spoiled models, on worlds that drift. About half an hour on two cores; ONLY=
# simulation, spoiled, chains or drifting does a part. Results go to benchmarks/gate_study/results.json.
gate-study: .venv/.bench
	$(BIN)/python -m benchmarks.gate_study $(if $(ONLY),--only "$(ONLY)")
	$(BIN)/python -m benchmarks.plots

# Into .venv: the lock adds faiss to what is there and changes nothing, where a venv of its own would need TensorFlow twice.
.venv/.bench: requirements/bench.txt .venv/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

# The pictures of docs/learning.md, drawn from what the code computes.
plots: .venv/.bench
	$(BIN)/python -m benchmarks.plots

# What the image is made of, as CycloneDX in build/sbom.json, and which known faults it has. IMAGE: an image of this
# machine, whose Debian packages count too. See docs/security.md.
IMAGE ?=
sbom scan: setup
	$(BIN)/python -m tests.supply.$@ $(if $(IMAGE),--image "$(IMAGE)")

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m retrainer.reference --check
	$(BIN)/python -m schemas.export --check
	$(BIN)/python -m schemas.log_events.page --check
	$(BIN)/python -m consumer.cycles.lifecycle.table --check
	$(BIN)/python -m consumer.http.openapi --check
	$(BIN)/python -m consumer.metrics.reference --check
	$(BIN)/python -m retrainer.documents.commands --check
	$(BIN)/python -m retrainer.documents.events --check
	$(BIN)/python -m benchmarks.records --check
	$(MKDOCS) build --strict

# docs/ as a site, in build/site; a link that leads nowhere fails. It is built without the network, and needs none.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs
docs: setup
	$(MKDOCS) build --strict

# The same on http://127.0.0.1:8000, built again whenever a page is saved.
docs-serve: setup
	$(MKDOCS) serve

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is written from the code: JSON Schemas, OpenAPI, pages and tables of docs/.
schemas: setup
	$(BIN)/python -m benchmarks.records
	$(BIN)/python -m retrainer.reference
	$(BIN)/python -m schemas.export
	$(BIN)/python -m schemas.log_events.page
	$(BIN)/python -m consumer.cycles.lifecycle.table
	$(BIN)/python -m consumer.http.openapi
	$(BIN)/python -m consumer.metrics.reference
	$(BIN)/python -m retrainer.documents.commands
	$(BIN)/python -m retrainer.documents.events

# Needs uv. Hashes for every platform, and no index address in the result.
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --quiet
lock:
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) --group build -o requirements/build.txt
	$(COMPILE) pyproject.toml --extra demo --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra bench -c requirements/dev.txt -o requirements/bench.txt
	$(COMPILE) --group quix -o requirements/quix.txt

clean:
	rm -rf .venv .venv-quix .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
