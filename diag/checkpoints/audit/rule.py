"""What a rule of the static audit is: what it says, how grave that is, what to do, and where it is seen.

A check is one file of this folder: the rules that look at the same thing, and the function that applies them. A new
rule is a row of its file; a new check is a file and a row in checks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from diag.checkpoints.audit.facts import CheckpointFacts
from diag.units import Percents

Severity = Literal["info", "warning", "error"]

# What to do, where many rules say the same.
COPY_AGAIN = "Copy or convert the file again from its source, and compare the fingerprints."
IF_TRAINED = "If the model was trained, look for the step that lost the weights: loading, saving or converting."
NOTHING = "Nothing needs to be done."
NO_SUCH_TOKEN = "Nothing, as long as no token has such an id."


@dataclass(frozen=True)
class AuditFinding:
    """One thing the file shows. `tensor` is the one concerned, null for the file as a whole. `fix`: what to do."""

    code: str
    severity: Severity
    tensor: str | None
    message: str
    fix: str = ""


@dataclass(frozen=True)
class AuditRule:
    """A row. `sentence` and `fix` are for people and may name facts in braces. seen_from: what the rule looks at, for
    docs/audit.md. planted: a defect that it finds, as the tests plant it in the demo's trained model."""

    code: str
    severity: Severity
    sentence: str
    fix: str
    seen_from: str
    planted: str

    def finding(self, tensor: str | None = None, **facts: object) -> AuditFinding:
        """What the rule says of a tensor, or of the file, its sentences filled in with `facts`."""
        message, fix = (Percents().format(text, tensor=tensor, **facts) for text in (self.sentence, self.fix))
        return AuditFinding(self.code, self.severity, tensor, message, fix)


@dataclass(frozen=True)
class Check:
    """Rules that look at the same thing, and how they are applied: `run` reads no tensor that `facts` tells about."""

    rules: tuple[AuditRule, ...]
    run: Callable[[CheckpointFacts], Iterator[AuditFinding]]
