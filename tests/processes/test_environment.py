"""What of an environment a child gets: what it needs, and no secret that it has no use for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.environment import for_child
from retrainer.demo.plan import inherited

SECRETS = (
    "RETRAINER_KAFKA__SASL_PASSWORD",
    "RETRAINER_LEDGER__URL",
    "RETRAINER_LEDGER__PASSWORD_FILE",
    "PGPASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "DATABASE_URL",
    "TF_VAR_db_admin",
    "TF_TOKEN_app_terraform_io",
    "CONDA_TOKEN",
    "KERAS_BACKEND",
)
NEEDED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "TF_NUM_X"),
    *("OMP_NUM_THREADS", "PYTHONPATH", "SSL_CERT_FILE", "RETRAINER_FAULT_POINT"),
)
OF_A_CLUSTER = ("HOPSWORKS_API_KEY", "https_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE")
ALL = dict.fromkeys((*SECRETS, *NEEDED, *OF_A_CLUSTER), "x")


def test_a_child_gets_what_it_needs_and_nothing_else() -> None:
    assert for_child(ALL).keys() == set(NEEDED)
    assert for_child(ALL, cluster=True).keys() == {*NEEDED, *OF_A_CLUSTER}
    assert for_child(ALL, also=["DATABASE_URL", "UNKNOWN"]).keys() == {*NEEDED, "DATABASE_URL"}


def test_children_of_the_demo_get_its_settings_beside() -> None:
    assert inherited(ALL, {"RETRAINER_STATE_DIR": "s"}).keys() == {*NEEDED, "RETRAINER_STATE_DIR"}


@given(st.dictionaries(st.text(), st.text()))
def test_names_that_nobody_has_thought_of_are_not_passed_on(environment: dict[str, str]) -> None:
    assert for_child({f"RETRAINER_{name}_X": value for name, value in environment.items()}) == {}


@pytest.mark.parametrize("what", ["import numpy, tempfile; tempfile.gettempdir()", "import trainer.__main__"])
def test_a_child_runs_with_it(what: str) -> None:
    subprocess.run([sys.executable, "-c", what], env=for_child(os.environ), check=True, capture_output=True)
