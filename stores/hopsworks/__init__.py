"""Access to a Hopsworks cluster through its SDK: one session a process, its secrets, and its errors as errors of ours.

Nothing outside this package imports the SDK, so the side effects of its import are prevented here, before the import.
"""

from __future__ import annotations

import logging
import os

os.environ["TQDM_DISABLE"] = "1"  # no progress bars; the flag is read at the import
# These variables would bypass our settings, above all the check of certificates.
for _variable in (
    "REST_ENDPOINT",
    "HOPSWORKS_PORT",
    "HOPSWORKS_HOSTNAME_VERIFICATION",
    "HOPSWORKS_TRUST_STORE_PATH",
    "HOPSWORKS_CERT_FOLDER",
):
    os.environ.pop(_variable, None)
if not logging.getLogger().handlers:
    logging.getLogger().addHandler(logging.NullHandler())  # else the import installs a handler of its own
for _name in ("hopsworks", "hopsworks_common", "hsfs", "hsml", "urllib3", "sqlalchemy", "pyarrow", "py.warnings"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # errors that matter are raised, and logged by us
