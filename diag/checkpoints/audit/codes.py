"""What the static audit can say, as a table: code, severity, the sentence people read, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class AuditFinding:
    """One thing the file shows. `tensor` is the one concerned, null for the file as a whole. `fix`: what to do."""

    code: str
    severity: Severity
    tensor: str | None
    message: str
    fix: str = ""


class Code(NamedTuple):
    """A row. `sentence` and `fix` may name the facts that the rule found."""

    severity: Severity
    sentence: str
    fix: str


_AGAIN = "Copy or convert the file again from its source, and compare the fingerprints."
_TRAINED = "If the model was trained, look for the step that lost the weights: loading, saving or converting."
_NONE = "Nothing needs to be done."

CODES: dict[str, Code] = {
    # names and shapes
    "unknown_family": Code(
        "info",
        "The architecture {architecture} is not in the table: names and shapes were not checked, everything else was.",
        "Add the family (CONTRIBUTING.md), or read the rest of the audit as it is.",
    ),
    "missing_tensor": Code(
        "error", "The tensor {tensor} {shape} is missing: whoever loads the file gets random weights.", _AGAIN
    ),
    "head_missing": Code(
        "error",
        "The head is declared untied, but the file holds none: a loader fills it at random.",
        "Set tie_word_embeddings to true if the model was tied, or save the head too.",
    ),
    "unexpected_tensor": Code(
        "warning",
        "The file holds {tensor}, which {family} has no place for: it will be ignored.",
        "Check which architecture wrote the file.",
    ),
    "ignored_tensor": Code("info", "The file holds {tensor}, which is no weight of the model and is ignored.", _NONE),
    "misshapen": Code(
        "error",
        "{tensor} has the shape {found}; config.json asks for {shape}.",
        "Use the config.json that was published with these weights.",
    ),
    "no_data": Code("error", "{tensor} is listed but holds no data.", _AGAIN),
    "architecture_contradiction": Code("warning", "{sentence}", "Correct the architecture in config.json."),
    "size_contradiction": Code("error", "{sentence}", "Correct config.json: the shapes are what the file holds."),
    "file_note": Code("info", "{sentence}", _NONE),
    # constants of the configuration
    "eps_large": Code(
        "warning",
        "rms_norm_eps is {eps:g}; models use 1e-5 or 1e-6. From 1e-3 up it costs loss.",
        "Compare config.json with the one published beside the weights.",
    ),
    "eps_small": Code(
        "info", "rms_norm_eps is {eps:g}; models use 1e-5 or 1e-6. So small a value does no harm in float32.", _NONE
    ),
    "theta_unusual": Code(
        "info",
        "rope_theta is {theta:g}; published {family} models use {usual}.",
        "Check it against the training configuration: a wrong base costs more, the longer the text.",
    ),
    # values
    "not_examined": Code(
        "info",
        "{count:,} of {total:,} tensors, {tensor} the first, have a type that is not read as numbers ({dtypes}): their "
        "values were not examined.",
        "Convert them to bfloat16 to have them audited.",
    ),
    "nonfinite": Code(
        "error", "{tensor} holds {count:,} values that are NaN or infinite.", "Go back to an earlier checkpoint."
    ),
    "all_zero": Code("error", "{tensor} is zero everywhere: it was never written, or the copy lost it.", _AGAIN),
    "zero_tensor": Code("warning", "{tensor} is zero everywhere.", _TRAINED),
    "constant": Code("warning", "{tensor} is {value:g} everywhere: it was never trained.", _TRAINED),
    "constant_rows": Code(
        "warning",
        "{count:,} of {total:,} rows of {tensor} hold one value each: they were never trained, or written wrongly.",
        _TRAINED,
    ),
    "zero_rows": Code(
        "warning",
        "{count:,} of {total:,} {lines} of {tensor} ({share:.1%}) are zero: part of it was pruned or never written.",
        _TRAINED,
    ),
    "few_zero_rows": Code("info", "{count:,} of {total:,} {lines} of {tensor} are zero.", _NONE),
    "many_zeros": Code(
        "warning", "{share:.1%} of {tensor} is exactly zero: part of it may never have been written.", _TRAINED
    ),
    "truncated": Code(
        "error",
        "The last {share:.1%} of {file} ({nbytes:,} bytes, from inside {tensor} on) is zero: the copy was cut short.",
        _AGAIN,
    ),
    "zero_tail": Code(
        "error", "The last {count:,} of {total:,} rows of {tensor} are zero: it was written or copied in part.", _AGAIN
    ),
    "norm_zero": Code(
        "error",
        "The norm weight {tensor} is exactly {value:g} everywhere, which multiplies by 0: it blocks the whole stream.",
        _AGAIN,
    ),
    "norm_one": Code(
        "warning",
        "The norm weight {tensor} is exactly {value:g} everywhere, its initial value: it was never loaded or trained.",
        _TRAINED,
    ),
    "norm_offset": Code(
        "warning",
        "{count} of {total} norm weights of the file {lie}, but {family} multiplies by {formula}: the offset of 1 was "
        "{step}.",
        "{repair}",
    ),
    "bias_zero": Code(
        "warning", "{count} of {total} biases are exactly 0: they were dropped, never set or never trained.", _TRAINED
    ),
    "implausible_values": Code(
        "warning",
        "{tensor} has a root mean square of {rms:.3g}: its bytes may be another dtype.",
        "Compare its dtype with the one it was saved with.",
    ),
    "dtype_tag": Code(
        "error",
        "{tensor} is tagged {tag}, but its bytes make sense only as {reading}: as {tag} its magnitudes {how}, as "
        "{reading} they spread over {fits:.1f} (trained weights: about 1.6).",
        "Correct the dtype in the header, or convert the file again.",
    ),
    # training
    "fresh_init": Code(
        "warning",
        "The rows of {tensor} vary in norm by {cv:.4f}, as a fresh {kind} matrix does ({expected:.4f}): it looks "
        "untrained.",
        _TRAINED,
    ),
    "fresh_layer": Code(
        "warning",
        "{tensor} looks freshly initialised: its rows vary in norm by {cv:.4f}, as a {kind} matrix does "
        "({expected:.4f}); in the median of the other layers it is {others:.4f}.",
        _TRAINED,
    ),
    "fresh_model": Code(
        "warning", "{count} of {total} matrices look freshly initialised: the model was not trained, or not loaded.",
        _TRAINED,
    ),
    "untrained_rows": Code(
        "info",
        "The last {count:,} rows of {tensor}, from id {first:,} on, vary in norm no more than fresh ones: padding "
        "that was never trained.",
        "Nothing, as long as no token has such an id and the head's rows for them do not win.",
    ),
    "zero_ids": Code(
        "info",
        "{count:,} rows of {tensor} are zero, the first with id {first:,}: padding, or tokens never used.",
        "Nothing, as long as no token has such an id.",
    ),
    "equal_rows": Code(
        "info",
        "{count:,} rows of {tensor} are equal to the one with id {first:,} in every byte: padding, or tokens never "
        "trained.",
        "Nothing, as long as no token has such an id.",
    ),
    # copies
    "duplicate_tensor": Code(
        "warning", "{tensor} is byte for byte the same as {other}.", "Check that the layers were meant to be copies."
    ),
    "tied_diverged": Code(
        "error", "{sentence}", "Measure the loss with either: test H4A does. Keep the one that fits, drop the other."
    ),
    "tied_rounded": Code(
        "info", "The head is declared tied; the copy in the file differs by rounding ({difference:.2g}).", _NONE
    ),
    "placeholder": Code("error", "{sentence}", "Remove the entry if the model is tied; else save the head with data."),
    "untied_copy": Code(
        "warning", "{sentence}", "Set tie_word_embeddings to true if that was meant; else restore the trained head."
    ),
    "reinterpreted_copy": Code("error", "{sentence}", "Use the embedding as the head, or write the head again."),
    "layout_suspicious": Code(
        "warning",
        "{tensor} fits the rest of the model only when its buffer is read in the other order ({reading}): it then "
        "correlates {other:.3f} with the other matrices, and {stored:.3f} as stored.",
        "Run test H4B: it measures the loss with the matrix in the other order.",
    ),
    "fresh_matrix": Code(
        "warning",
        "{tensor} resembles no other matrix of the model in any order, as one that was never trained.",
        _TRAINED,
    ),
    "rotary_adjacent": Code(
        "warning",
        "Q and K look as if their rows stood in adjacent rotary pairs; this family's code pairs split halves (lead "
        "{lead:.2f} ± {stderr:.2f} over {heads} heads).",
        "Convert the file again with the rows of Q and K permuted back, or compare it with a reference.",
    ),
    "more": Code("info", "{count:,} more findings of the kind {kind} are not listed.", "Fix the listed ones first."),
}  # fmt: skip


def finding(code: str, tensor: str | None = None, **facts: object) -> AuditFinding:
    """The finding for a code, its sentence filled in."""
    row = CODES[code]
    return AuditFinding(
        code, row.severity, tensor, row.sentence.format(tensor=tensor, **facts), row.fix.format(tensor=tensor, **facts)
    )
