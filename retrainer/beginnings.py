"""Three beginnings of a settings file: from files alone, from files beside a Kafka of one's own, with Hopsworks.

Each is TOML. What a setting means comes from the models (`retrainer.reference`), so it is never out of date. A line
that begins with one `#` is a setting that may be wanted, with its default or an example.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from pydantic import BaseModel

from consumer.configuration.names import Where
from consumer.settings import Settings
from retrainer.reference import meanings, models_of

_WIDTH = 100


class Beginning(StrEnum):
    """Where the users' vectors come from, and where events go."""

    FILES = "files"
    KAFKA = "kafka"
    HOPSWORKS = "hopsworks"


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting of a beginning."""

    where: Where
    value: object
    optional: bool = False
    """Whether it is written as a comment."""
    for_trial: bool = False
    """Whether it is only for trying things out, so that something happens at each change."""


_ABOUT = {
    Beginning.FILES: """
        Users' vectors come from files, and all runs on this machine. `pip install 'retrainer[demo]'` brings a broker
        that keeps its events in memory, `retrainer broker` runs it, and `retrainer import` fills the store.""",
    Beginning.KAFKA: """
        Users' vectors come from files, and change events go through a Kafka of your own. `retrainer import` fills the
        store and announces what changed.""",
    Beginning.HOPSWORKS: """
        Feature store, model registry and Kafka are those of a Hopsworks cluster. `retrainer setup-hopsworks` prepares
        the cluster, and `retrainer doctor` says whether everything is there.""",
}
_LOCAL = [
    Entry(("state_dir",), "var"),
    Entry(("trigger", "changed_users"), 100),
    Entry(("trigger", "changed_share"), 0.02),
    Entry(("trigger", "max_staleness"), 86_400.0),
    Entry(("schedule", "full_retrain"), "0 3 * * 0", optional=True),
    Entry(("fit", "objective"), "outcomes", optional=True),
    Entry(("pairs", "similarity_threshold"), 0.8, optional=True),
]
_ENTRIES = {
    Beginning.FILES: [Entry(("kafka", "bootstrap_servers"), ["127.0.0.1:19092"]), *_LOCAL],
    Beginning.KAFKA: [
        Entry(("kafka", "bootstrap_servers"), ["kafka-1:9092", "kafka-2:9092"]),
        Entry(("kafka", "topic"), "user-embedding-changes"),
        Entry(("kafka", "security_protocol"), "SASL_SSL", optional=True),
        Entry(("kafka", "sasl_mechanism"), "SCRAM-SHA-512", optional=True),
        Entry(("kafka", "sasl_username"), "retrainer", optional=True),
        Entry(("kafka", "ssl_cafile"), "/etc/retrainer/ca.pem", optional=True),
        Entry(("dead_letters", "topic"), "user-embedding-changes-dead", optional=True),
        *_LOCAL,
    ],
    Beginning.HOPSWORKS: [
        Entry(("hopsworks", "host"), "my-cluster.example"),
        Entry(("hopsworks", "project"), "my_project"),
        Entry(("feature_group", "name"), "spotify_user_embeddings"),
        Entry(("feature_group", "version"), 1),
        Entry(("labels", "name"), "spotify_user_pair_labels", optional=True),
        *_LOCAL,
    ],
}
_TRIAL = [
    Entry(("trigger", "changed_users"), 1, for_trial=True),
    Entry(("trigger", "quiet_period"), 1.0, for_trial=True),
    Entry(("trigger", "min_interval"), 5.0, for_trial=True),
    Entry(("gate", "register_unchanged"), value=True, for_trial=True),
    Entry(("gate", "negligible"), 0.02, for_trial=True),
]
_SECRETS = {
    Beginning.FILES: "",
    Beginning.KAFKA: "RETRAINER_KAFKA__SASL_PASSWORD_FILE",
    Beginning.HOPSWORKS: "RETRAINER_HOPSWORKS__API_KEY_FILE",
}


def written(beginning: Beginning, feature_group: str | None = None, *, trial: bool = False) -> str:
    """The file of a beginning.

    Args:
        beginning: which one.
        feature_group: a section that fits the user's data, of `importing.layout`.
        trial: with settings by which each change starts a cycle at once, and each cycle registers a version.
    """
    tried = {one.where for one in _TRIAL if trial}
    entries = [one for one in _ENTRIES[beginning] if one.where not in tried] + [one for one in _TRIAL if trial]
    entries = [one for one in entries if feature_group is None or one.where[0] != "feature_group"]
    ordered = sorted(entries, key=lambda one: (len(one.where) > 1, one.where[0] if len(one.where) > 1 else ""))
    parts = [_comment(_ABOUT[beginning]), _comment(_how(beginning))]
    for section, of_section in groupby(ordered, key=lambda one: one.where[:-1]):
        parts.append("\n\n".join(_section(section, list(of_section))))
    if feature_group is not None:
        parts.append(feature_group)
    return "\n\n".join(parts) + "\n"


def _how(beginning: Beginning) -> str:
    secret = _SECRETS[beginning]
    secrets = f" Secrets stay outside: {secret} names the file of one." if secret else ""
    return (
        "RETRAINER_CONFIG names this file. A variable of the environment outranks it. `retrainer config` shows what "
        f"counts.{secrets}"
    )


def _section(section: Where, entries: Sequence[Entry]) -> Iterator[str]:
    if section:
        needed = any(not one.optional for one in entries)
        head = f"[{'.'.join(section)}]"
        yield head if needed else f"# {head}"
    model = _model(section)
    said = meanings(model)
    for one in entries:
        name = one.where[-1]
        about = said[name]
        if one.for_trial:
            about += f" For trying things out: without this line it is {json.dumps(model.model_fields[name].default)}."
        yield f"{_comment(about)}\n{'# ' if one.optional else ''}{name} = {json.dumps(one.value)}"


def _model(section: Where) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for name in section:
        model = models_of(model.model_fields[name].annotation)[0]
    return model


def _comment(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH, initial_indent="## ", subsequent_indent="## ")
