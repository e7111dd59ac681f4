"""The settings of a cycle as they are put on record: what is not the default, by section.

A hundred bytes in place of three thousand. The record names the release whose defaults it means
(`packages["retrainer"]`); read by another release, a default that has changed since is that of the reader.
"""

from __future__ import annotations

from typing import Any

from schemas.features import FeatureGroup
from schemas.labels import LabelGroup
from schemas.policies import FitPolicy, GatePolicy, GuardPolicy, PairPolicy, SplitPolicy

_SECTIONS = {
    "feature_group": FeatureGroup,
    "labels": LabelGroup,
    "pairs": PairPolicy,
    "split": SplitPolicy,
    "fit": FitPolicy,
    "gate": GatePolicy,
    "guard": GuardPolicy,
}

Recorded = dict[str, dict[str, Any]]
"""{section: {field: value}}; a section with defaults alone is empty, a label group that is not set is absent."""


def recorded(source: object) -> Recorded:
    """What is not the default, of a `TrainerSettings` or a `ModelManifest`: both have a field for each section."""
    found = {name: getattr(source, name) for name in _SECTIONS}
    return {
        name: section.model_dump(mode="json", exclude_defaults=True)
        for name, section in found.items()
        if section is not None
    }


def whole(record: Recorded) -> Recorded:
    """All settings of a record, with this release's defaults; fields that this release does not know stay."""
    return {
        name: {**_SECTIONS[name]().model_dump(mode="json"), **given}
        for name, given in record.items()
        if name in _SECTIONS
    }
