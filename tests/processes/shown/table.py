"""How the commands of the documents are run: what stands for their placeholders, what goes on, what cannot be run here.

Every entry has to fit a command that a page shows, or `test_the_table_has_nothing_stale` fails.
"""

from __future__ import annotations

from schemas.labels import LabelGroup

_LAST_CYCLE = "$(retrainer cycles --limit 1 | grep -o 'c0[0-9]*-[0-9a-f]*' | head -1)"
_WITH_LABELS = f"RETRAINER_LABELS__NAME={LabelGroup().name} RETRAINER_KAFKA__LABEL_TOPIC=follows"

INSTEAD: dict[str, dict[str, str]] = {
    "*": {
        "TEXT": "'a reason'",
        "USER": "u3",
        "broker": "broker --port {port}",
        "FOLDER": "copy",
        "[--full]": "--full",
        "[--json]": "--json",
        ".venv/bin/": "",
    },
    "README.md": {"--sample users.csv": "--sample new.csv", "DIR": "vectors", "..": "'a reason'", "12": "2"},
    "docs/api.md": {'"instead_of": 2': '"instead_of": 4'},
    "docs/backup.md": {"/backups/$(date +%F)": "copy", "/backups/2026-11-29": "copy"},
    "docs/dead-letters.md": {"17 18": "7 8", "show 17": "show 7", "discard 17": "discard 7", "TIME": "-3d"},
    "docs/demo.md": {"var/demo": "demo"},
    "docs/deployment.md": {"41 --out /srv/models": "2 --out models"},
    "docs/history.md": {"show 5": "show 2", "diff 4 5": "diff 1 2"},
    "docs/logs-and-traces.md": {
        "VERSION": "2",
        "retrainer run 2>&1": "retrainer train --full > /dev/null; cat started-0.log",
        "'select(.cycle_id == \"c000012-5b490f05\")'": (
            f'"select(.cycle_id == \\"{_LAST_CYCLE}\\")" | grep "cycle ended"'
        ),
    },
    "docs/replay.md": {
        "2026-11-01 --to 2026-11-02T12:00+01:00": "-3d --to now",
        "--from 1795911035 --to 1795914635000": "--from $(($(date +%s) - 9000)) --to $(($(date +%s) + 60))000",
        "--to -30m": "--to now",
        "retrainer replay --offsets follows:1:0-50": f"{_WITH_LABELS} retrainer replay --offsets follows:1:0-50",
    },
    "docs/report.md": {
        "c000006-1f2e3d4c": _LAST_CYCLE,
        "report 7": "report 2",
    },
    "docs/reproduce.md": {"12": "2"},
    "docs/rollback.md": {"VERSION": "1"},
    "docs/upgrading.md": {"/backups/before-upgrade": "copy"},
    "docs/vectors.md": {"--version 3": "--version 2"},
}
"""For each page, and for all of them, what is put in the place of a text: names, numbers and paths of the stand.
{port} is a port that is free."""

GOES_ON: dict[str, str] = {
    "retrainer run": "partitions assigned",
    "retrainer bridge": "baseline taken",
    "retrainer bridge --labels": "baseline taken",
    "retrainer broker": "a broker listens on",
    "retrainer import users.parquet --watch": "change events announced",
    "retrainer simulate --interval 60": '"wave": ',
    "retrainer simulate --interval 60 --timeout 0": '"wave": ',
    "retrainer simulate": '"wave": ',
    "RETRAINER_FIT__OBJECTIVE=outcomes retrainer simulate": '"wave": ',
}
"""Commands that run until they are stopped, and what they say when they are at work. SIGTERM then ends them with 0."""

FAILS: dict[tuple[str, str], str] = {
    ("docs/dead-letters.md", "retrainer dead-letters replay 17 18 --dry-run"): "stay open",  # nothing was mended here
    ("docs/alerts.md", "retrainer status --check"): "dead letters are open",
    ("docs/doctor.md", "retrainer doctor"): "the group tells nobody of its changes",  # not yet set up
}
"""Commands that end with 1 on the stand the first time, as their page says; and a part of what they say."""

BEFORE: dict[tuple[str, str], str] = {
    ("docs/alerts.md", "retrainer resume"): "retrainer pause --reason 'the catalogue is being moved'",
    ("docs/backup.md", "retrainer restore FOLDER"): "mv var broken",
    ("docs/upgrading.md", "retrainer restore /backups/before-upgrade"): "mkdir away; mv var/ledger.db* away",
    ("docs/backup.md", "retrainer restore /backups/2026-11-29"): "rm -r broken; mv var broken",
    ("docs/rollback.md", 'retrainer rollback --reason "complaints since this morning"'): (
        "retrainer promote 2 --reason 'there has to be one before it'"
    ),
    ("docs/replay.md", "retrainer replay --offsets follows:1:0-50"): (
        f"{_WITH_LABELS} retrainer import users.csv --labels edges.csv"
    ),
    ("docs/demo.md", "(. var/demo/demo.env; .venv/bin/retrainer versions)"): (
        'mkdir demo; echo "export RETRAINER_STATE_DIR=$PWD/var" > demo/demo.env'
    ),
}
"""What has to be done in the shell before a command: what its page tells in words."""

_TOLD = {
    "RETRAINER_NOTIFICATIONS__WEBHOOK": "http://{receiver}",
    "RETRAINER_NOTIFICATIONS__WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "RETRAINER_NOTIFICATIONS__CHAT": "json://{receiver}",
}

STOPPED = {("docs/upgrading.md", "retrainer restore /backups/before-upgrade")}
"""Commands that no service may run beside, where the page has started one before."""

SETTINGS: dict[str, dict[str, str]] = {
    "docs/deployment.md": {"RETRAINER_EXPORT__OUT": "served"},
    "docs/demo.md": {
        "RETRAINER_STATE_DIR": "simulated",
        "RETRAINER_KAFKA__TOPIC": "simulated",
        "RETRAINER_FEATURE_GROUP__NAME": "",  # an empty one is not set, so the defaults count
        "RETRAINER_FEATURE_GROUP__COLUMNS": "",
    },
    "README.md": _TOLD,
    "docs/notifications.md": _TOLD,
}
"""Settings that a page has its reader make. {receiver} is where messages are taken."""

ON_A_CLUSTER = ("docs/bridge.md", "docs/doctor.md", "docs/hopsworks.md", "docs/labels.md")
"""Pages about a Hopsworks cluster: their commands run on the double."""

ON_RAY = "docs/ray.md"
"""The page about a Ray cluster: its commands run beside one of two nodes."""

LEFT_OUT: dict[tuple[str, str], str] = {
    ("README.md", "retrainer setup-hopsworks"): "needs a cluster; run there for docs/hopsworks.md",
    ("README.md", "retrainer bridge"): "needs a cluster; run there for docs/bridge.md",
    (
        "docs/ray.md",
        "retrainer setup-hopsworks --ray-job retrainer --ray-workers 4",
    ): "needs a cluster; tests/integration/hopsworks/test_ray_job.py makes the job there",
    ("docs/history.md", "retrainer show"): "names the command; a call needs a version or a cycle",
    ("docs/history.md", "retrainer diff"): "names the command; a call needs two versions or cycles",
    ("docs/history.md", "retrainer explain"): "names the command; a call needs a user",
    ("docs/importing.md", "retrainer import"): "names the command; a call needs a file",
    ("docs/importing.md", "retrainer init"): "names the command; a call needs a beginning",
    ("docs/upgrading.md", "retrainer backup"): "names the command; a call needs a folder",
    ("docs/upgrading.md", "retrainer rollback"): "names the command; a call needs a reason",
    ("docs/vectors.md", "retrainer vectors"): "names the command; a call needs a file or folder",
    ("docs/rollback.md", "retrainer promote"): "names the command; a call needs a version",
    ("docs/dead-letters.md", "retrainer replay"): "names the command; a call needs a window",
}
"""Commands that no test runs, each with the reason."""

DONE_FOR: dict[tuple[str, str], str] = {
    ("README.md", "retrainer vectors --out DIR"): "docs/vectors.md",
    ("README.md", "retrainer reproduce 12"): "docs/reproduce.md",
    ("README.md", "retrainer train [--full]"): "docs/alerts.md",
}
"""Commands that start TensorFlow, and that another page shows alike: they run for that page, and once is enough."""
