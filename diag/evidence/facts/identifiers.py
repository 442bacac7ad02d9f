"""Identifiers of gates, tickets, sections and dates, and the longer form that a heading gives to a short one."""

from __future__ import annotations

import re

MAX = 8
_NOT = (
    "UTF|SHA|ISO|RTX|GTX|FP|BF|INT|GPT|CUDA|TF|AES|MD|ASCII|IEEE|RFC|CPU|GPU|HTTP|PY|EPOCH|STEP|LAYER|LLAMA|QWEN|TOP|N"
)
_NAMED = re.compile(
    rf"(?<![\w/.-])(?!(?:{_NOT})[-_]?\d)(?:[A-Z][A-Z0-9]*[-_])+\d+[A-Za-z]?(?![A-Za-z0-9])(?!\.\w)"
    r"|(?<![\w/.-])H\d[A-Z]?(?![\w-])|§\d+(?:\.\d+)*|(?<![\w/&])#\d{2,6}\b|(?<![\d/-])\d{4}-\d\d-\d\d(?![\d-])"
)
_MAY_BE = re.compile(r"[A-Z]\d|[A-Z0-9][-_]\d|§|#\d|\d{4}-\d")
_CONTRACT = re.compile(r"`?([a-z][a-z0-9]*(?:-[a-z0-9]+)+?)(?:-v\d+)?\.ya?ml`?")
_SHORT = re.compile(r"(FALSIFY|GATE|AC)-(\d+)")


def identifiers(text: str, heading: str = "") -> tuple[str, ...]:
    """The identifiers in a text, each once and in order, `_` written as `-`; at most 8.

    FALSIFY-005 below a heading that names the contract `some-contract-v1.yaml` is FALSIFY-SOME-CONTRACT-005 too.
    """
    if not _MAY_BE.search(text):
        return ()
    found = dict.fromkeys(match.group().replace("_", "-") for match in _NAMED.finditer(text))
    contract = _CONTRACT.search(heading) if heading else None
    if contract:
        for short in [short for short in found if _SHORT.fullmatch(short)]:
            kind, number = short.split("-")
            found[f"{kind}-{contract.group(1).upper()}-{number}"] = None
    return tuple(found)[:MAX]
