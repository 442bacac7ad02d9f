"""A setting of the configuration is the reference's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from diag.checkpoints.compare.config import with_setting
from diag.model.edits.base import Edit, Provenance


@dataclass(frozen=True)
class SetConfig(Edit):
    """The keys of `setting` (`diag.checkpoints.compare.config.SETTINGS`, or one key) are those of another config.json;
    `values` holds them as canonical JSON, and a key that is not in it is left out."""

    setting: str
    values: str
    order = 3
    provenance = Provenance.REFERENCE

    @property
    def targets(self) -> tuple[str, ...]:
        return (f"config: {self.setting}",)

    @property
    def sentence(self) -> str:
        return f"The configuration's {self.setting} becomes {self.values:.200}."

    def configured(self, raw: dict[str, Any]) -> dict[str, Any]:
        return with_setting(raw, json.loads(self.values), self.setting)


@dataclass(frozen=True)
class SuggestConfig(SetConfig):
    """The same with values that no reference states: the family's published ones, or one of a sweep."""

    provenance = Provenance.OWN_BYTES
