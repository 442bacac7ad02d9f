"""What the static audit can say, as a table: code, severity, and the sentence people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class AuditFinding:
    """One thing the file shows. `tensor` is the tensor concerned, null when it is the file as a whole."""

    code: str
    severity: Severity
    tensor: str | None
    message: str


CODES: dict[str, tuple[Severity, str]] = {
    "missing_tensor": ("error", "The tensor {tensor} {shape} is missing: whoever loads the file gets random weights."),
    "head_missing": ("error", "The head is declared untied, but the file holds none: a loader fills it at random."),
    "unexpected_tensor": ("warning", "The file holds {tensor}, which {family} has no place for: it will be ignored."),
    "ignored_tensor": ("info", "The file holds {tensor}, which is no weight of the model and is ignored."),
    "misshapen": ("error", "{tensor} has the shape {found}; config.json asks for {shape}."),
    "no_data": ("error", "{tensor} is listed but holds no data."),
    "nonfinite": ("error", "{tensor} holds {count:,} values that are NaN or infinite."),
    "all_zero": ("error", "{tensor} is zero everywhere: it was never written, or the copy lost it."),
    "many_zeros": ("warning", "{share:.1%} of {tensor} is exactly zero: part of it may never have been written."),
    "norm_zero": ("error", "The norm weight {tensor} is exactly 0 everywhere: it blocks the whole stream."),
    "norm_one": ("warning", "The norm weight {tensor} is exactly 1 everywhere: it was never loaded or never trained."),
    "bias_zero": (
        "warning",
        "{count} of {total} attention biases are exactly 0: they were dropped or never set.",
    ),
    "implausible_values": ("warning", "{tensor} has a root mean square of {rms:.3g}: its bytes may be another dtype."),
    "fresh_init": (
        "warning",
        "The rows of {tensor} vary in norm by {cv:.4f}, as a fresh {kind} matrix does ({expected:.4f}): it looks "
        "untrained.",
    ),
    "architecture_contradiction": ("warning", "{sentence}"),
    "tied_diverged": ("error", "{sentence}"),
    "tied_rounded": ("info", "The head is declared tied; the copy in the file differs by rounding ({difference:.2g})."),
    "placeholder": ("error", "{sentence}"),
    "untied_copy": ("warning", "{sentence}"),
    "reinterpreted_copy": ("error", "{sentence}"),
    "file_note": ("info", "{sentence}"),
    "more": ("info", "{count:,} more findings of the kind {kind} are not listed."),
}


def finding(code: str, tensor: str | None = None, **facts: object) -> AuditFinding:
    """The finding for a code, its sentence filled in."""
    severity, sentence = CODES[code]
    return AuditFinding(code, severity, tensor, sentence.format(tensor=tensor, **facts))
