"""The part of our environment that a child process gets: what the child needs, and no secret that it does not need.

The lists here name what is passed on, not what is held back: nobody can list all the secrets that an environment may
hold. `/proc/PID/environ` shows, as long as a process lives, the environment that it was started with.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from schemas.engine import MiningEngine
from schemas.fault_points import MARK_VARIABLE, POINT_VARIABLE, SIGNAL_VARIABLE

_NAMES = frozenset(
    {
        "COVERAGE_PROCESS_CONFIG",
        "COVERAGE_PROCESS_START",
        "GLIBC_TUNABLES",
        "HOME",
        "HOSTNAME",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "NO_COLOR",
        "PATH",
        "SHELL",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TEMP",
        "TERM",
        "TMP",
        "TMPDIR",
        "TZ",
        "TZDIR",
        "USER",
        "VIRTUAL_ENV",
        MARK_VARIABLE,
        POINT_VARIABLE,
        SIGNAL_VARIABLE,
    }
)
_KINDS = (
    "BLIS_",
    "CONDA_",
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "DNNL_",
    "DYLD_",
    "GOMP_",
    "GOTO_",
    "JEMALLOC_",
    "KMP_",
    "LC_",
    "LD_",
    "MALLOC_",
    "MKL_",
    "NCCL_",
    "NUMEXPR_",
    "NVIDIA_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTHON",
    "TCMALLOC_",
    "TF_",
    "VECLIB_",
    "XDG_",
    "XLA_",
)
"""Beginnings of names that say where libraries lie, and how threads and accelerators compute."""

_SECRET = re.compile("^TF_VAR_|AUTH|CREDENTIAL|KEY|PASS|SECRET|TOKEN")  # the first kind is Terraform's

_CLUSTER = frozenset(
    {
        "ALL_PROXY",
        "CURL_CA_BUNDLE",
        "HOPSWORKS_API_KEY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "REQUESTS_CA_BUNDLE",
        "all_proxy",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }
)
"""What a process that speaks with a cluster needs. The address of a proxy may hold a password."""


def for_child(environment: Mapping[str, str], *, cluster: bool = False, also: Collection[str] = ()) -> dict[str, str]:
    """The part of an environment that a child gets.

    Args:
        environment: ours.
        cluster: whether the child speaks with a Hopsworks cluster, so that it needs the key and the way there.
        also: names that an operator wants passed on.
    """
    wanted = _NAMES | set(also) | (_CLUSTER if cluster else frozenset())
    return {name: value for name, value in environment.items() if name in wanted or _is_of_a_kind(name)}


def variables_of_ray(environment: Mapping[str, str], engine: MiningEngine) -> list[str]:
    """The names of Ray's own variables, for a child that works on a Ray cluster."""
    return [name for name in environment if name.startswith("RAY_")] if engine is MiningEngine.RAY else []


def _is_of_a_kind(name: str) -> bool:
    return name.startswith(_KINDS) and not _SECRET.search(name)
