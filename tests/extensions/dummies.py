"""One dummy extension of each kind: its file, and its row (with the import that it needs). Nothing else is written."""

from __future__ import annotations

FILES = {
    "diag/shards/formats/dummy_tokens.py": """
from pathlib import Path

import numpy as np

from diag.shards.formats.gather import GatheredFile, assemble, size_of
from diag.shards.reader import Plain, ShardFile, TokenDataset

NAME, MAGIC = "dummy tokens", b"DUMMYIDS"


def claims(path: Path, head: bytes) -> bool:
    return head.startswith(MAGIC)


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    return assemble(path, NAME, [path], _opened, dtype=dtype)


def _opened(path: Path) -> GatheredFile:
    tokens = (size_of(path) - len(MAGIC)) // 2
    return GatheredFile(ShardFile(path, tokens, Plain(path, np.dtype("<u2"), tokens, len(MAGIC))), "u16")
""",
    "diag/checkpoints/formats/dummy_file.py": """
from pathlib import Path

from diag.checkpoints.reader import OpenedCheckpoint, TensorInfo

MAGIC = b"DUMMYCKPT"


def claims(path: Path, head: bytes) -> bool:
    return head.startswith(MAGIC)


def open_file(path: Path) -> OpenedCheckpoint:
    size = path.stat().st_size - len(MAGIC)
    info = TensorInfo("dummy.weight", "F32", (size // 4,), len(MAGIC), size)
    config = {"architectures": ["DummyForCausalLM"], "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
              "intermediate_size": 8}
    return OpenedCheckpoint("dummy weights", (path,), {info.name: info}, config | {"vocab_size": 8})
""",
    "diag/checkpoints/families/dummy.py": """
from diag.checkpoints.families.base import Family, Role

DUMMY = Family("dummy family", ("DummyForCausalLM",), ("dummy",), {"dummy": Role("dummy.weight", ("hidden",), "norm")})
""",
    "diag/checkpoints/signatures/dummy.py": """
from diag.checkpoints.reader import Checkpoint


def count_values(checkpoint: Checkpoint) -> int:
    return sum(info.elements for info in checkpoint.tensors.values())
""",
    "diag/checkpoints/audit/dummy.py": """
from collections.abc import Iterator

from diag.checkpoints.audit.facts import CheckpointFacts
from diag.checkpoints.audit.rule import NOTHING, AuditFinding, AuditRule, Check

RULE = AuditRule("dummy_rule", "info", "The file holds {count} tensor.", NOTHING, "the number of tensors", "nothing")


def run(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    yield RULE.finding(count=len(facts.checkpoint.tensors))


CHECK = Check((RULE,), run)
""",
    "diag/model/edits/scale.py": """
from collections.abc import Iterator
from dataclasses import dataclass

from diag.model.edits.base import Edit


@dataclass(frozen=True)
class Scale(Edit):
    names: tuple[str, ...]
    by: float
    order = 0

    @property
    def targets(self) -> tuple[str, ...]:
        return self.names

    @property
    def sentence(self) -> str:
        return f"{len(self.names)} tensors are multiplied by {self.by:g}."

    def tensors(self, now, reference) -> Iterator:
        return ((name, now(name) * self.by) for name in self.names)
""",
    "diag/hypotheses/h9z_dummy.py": """
from diag.hypotheses.base import Hypothesis, Repair
from diag.model.edits.scale import Scale
from diag.results.finding import Signature


def signature(context):
    return Signature(False, f"Dummy looked at {len(context.checkpoint.tensors)} tensors.")


def repairs(context, signature):
    name = context.family.roles["final_norm"].tensor()
    return [Repair("final norm × 2", (Scale((name,), 2.0),), "Doubles the final norm.")]


HYPOTHESIS = Hypothesis("H9Z", "Dummy", "The final norm is half of what it was.", "Doubling it does not help.",
                        signature, repairs)
""",
    "pages/dummy.py": """
import streamlit as st

st.title("Dummy")
""",
}

ROWS = {
    "diag/shards/formats/registry.py": (
        ("formats import (\n    arrow,", "formats import (\n    arrow,\n    dummy_tokens,"),
        (
            "FORMATS: tuple[Format, ...] = (\n",
            "FORMATS: tuple[Format, ...] = (\n    Format(dummy_tokens.NAME, dummy_tokens.claims, "
            'dummy_tokens.open_files, corpora(".dummy"), suffixes=(".dummy",)),\n',
        ),
    ),
    "diag/checkpoints/formats/registry.py": (
        (
            "from diag.checkpoints.formats import apr_file,",
            "from diag.checkpoints.formats import dummy_file, apr_file,",
        ),
        (
            "FORMATS: tuple[Format, ...] = (\n",
            'FORMATS: tuple[Format, ...] = (\n    Format("dummy weights", dummy_file.claims, (".dummy",), '
            'dummy_file.open_file, each_file(".dummy")),\n',
        ),
    ),
    "diag/checkpoints/families/table.py": (
        (
            "from diag.checkpoints.families.base import Family\n",
            "from diag.checkpoints.families.base import Family\nfrom diag.checkpoints.families.dummy import DUMMY\n",
        ),
        ("GPT2, GPT_NEOX)\n", "GPT2, GPT_NEOX, DUMMY)\n"),
    ),
    "diag/checkpoints/signatures/__init__.py": (
        (
            "\nfrom diag.checkpoints.signatures.fresh import",
            "\nfrom diag.checkpoints.signatures.dummy import count_values"
            "\nfrom diag.checkpoints.signatures.fresh import",
        ),
        (
            'matrix ever trained?"),\n',
            'matrix ever trained?"),\n    WeightSignature("dummy", count_values, "How many?"),\n',
        ),
    ),
    "diag/checkpoints/audit/checks.py": (
        ("    copies,\n", "    copies,\n    dummy,\n"),
        ("    orders.CHECK,\n", "    orders.CHECK,\n    dummy.CHECK,\n"),
    ),
    "diag/shards/audit/alarms.py": (
        (
            "ALARMS: tuple[Alarm, ...] = (\n",
            'ALARMS: tuple[Alarm, ...] = (\n    Alarm("few_ids", "suspect", Threshold(98, "ids", "a dummy"), '
            'lambda f, t: f.max_id < t, "Fewer than {threshold:.0f} ids are distinct: {f.max_id} + 1."),\n',
        ),
    ),
    "diag/model/edits/__init__.py": (
        (
            "from diag.model.edits.shift import",
            "from diag.model.edits.scale import Scale\nfrom diag.model.edits.shift import",
        ),
        ("    SuggestConfig,\n", "    SuggestConfig,\n    Scale,\n"),
    ),
    "diag/hypotheses/registry.py": (
        ("    h4x_difference,\n", "    h4x_difference,\n    h9z_dummy,\n"),
        ("    h4d_residual.HYPOTHESIS,\n", "    h4d_residual.HYPOTHESIS,\n    h9z_dummy.HYPOTHESIS,\n"),
    ),
    "diag/ui/shell/pages.py": ((" = {\n", ' = {\n    "dummy": ("A dummy?", ":material/star:"),\n'),),
}
