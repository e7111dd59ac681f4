"""Speaking with a Hopsworks cluster through its SDK: one session a process, its secrets, and its errors as ours.

Nothing outside this package imports the SDK, so what it does at its import is tamed here, before that.
"""

from __future__ import annotations

import logging
import os

os.environ["TQDM_DISABLE"] = "1"  # its bars are drawn while it works; the flag is read when it is imported
# Other ways into the SDK's configuration would go past ours: past the check of certificates, above all.
for _variable in (
    "REST_ENDPOINT",
    "HOPSWORKS_PORT",
    "HOPSWORKS_HOSTNAME_VERIFICATION",
    "HOPSWORKS_TRUST_STORE_PATH",
    "HOPSWORKS_CERT_FOLDER",
):
    os.environ.pop(_variable, None)
if not logging.getLogger().handlers:
    logging.getLogger().addHandler(logging.NullHandler())  # or the import sets up a handler of its own
for _name in ("hopsworks", "hopsworks_common", "hsfs", "hsml", "urllib3", "sqlalchemy", "pyarrow", "py.warnings"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # what matters of it is raised, and told by us
