"""Headerless ids in `.bin` files: `pretokenize-bin-v1` (u32, a manifest beside them perhaps) and nanoGPT's (u16).

Source: formats.md, "Token shards". The type is told from the ids (guess.py); names decide where these leave it open.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from diag.errors import InputError
from diag.shards import headerless
from diag.shards.gather import names_in, with_suffix
from diag.shards.manifest import SCHEMA, Manifest, lies, read_manifest
from diag.shards.reader import Sniff, TokenShard

NAME = "pretokenize-bin-v1"
_NANOGPT = re.compile(r"(train|val)\.bin", re.IGNORECASE)
_SHOWN_FOLDERS = 5


def claims(path: Path, head: bytes) -> bool:
    """Any folder, and any file that ends in .bin: there is nothing else to go by."""
    return path.is_dir() or path.suffix.lower() == ".bin"


def open_files(path: Path, dtype: str | None) -> TokenShard:
    """Open one `.bin`, or those of a folder in lexical order: `shard-*.bin` if there are any, else all of them.

    u32 has the benefit of the doubt under a name `shard-*.bin` or with a manifest, and wherever several types fit but
    the name is one of nanoGPT's. InputError for a manifest whose counts are not those of the folder: some of it is
    missing or was changed; a given dtype reads what is there. See headerless.open_all for the cost and other errors.
    """
    whole_folder = path.is_dir()
    paths, notes = _listed(path) if whole_folder else ([path], [])
    manifest = read_manifest(path if whole_folder else path.parent)
    nanogpt = all(_NANOGPT.fullmatch(each.name) for each in paths) and manifest.content is None
    shard = headerless.open_all(
        path,
        NAME,
        paths,
        dtype,
        favourite="u16" if nanogpt else "u32",
        trusted=_trusted(paths, manifest),
        vocab_size=manifest.vocab_size,
    )
    if shard.dtype != "u32" or shard.byte_order != "little":
        shard = replace(shard, format=f"headerless-{shard.dtype}")
    found = lies(manifest, shard.files) if whole_folder else ()
    if found and dtype is None and not shard.bad_files:  # a file that cannot be read is said by itself
        raise InputError(
            " ".join(found),
            where=str(path),
            fix=f"Copy the folder again, or name one of its files; --dtype {shard.dtype} audits what is there.",
        )
    return replace(
        shard,
        sniff=_confirmed(shard, manifest) if whole_folder and dtype is None and not found else shard.sniff,
        separator=manifest.separator,
        manifest=manifest.content,
        vocab_size=manifest.vocab_size,
        notes=(*notes, *shard.notes, *found, *manifest.notes),
    )


def _listed(folder: Path) -> tuple[list[Path], list[str]]:
    bins = with_suffix(folder, ".bin")
    shards = [path for path in bins if path.name.startswith("shard-")]
    if not bins:
        inner = [name for name in names_in(folder) if (folder / name).is_dir()][:_SHOWN_FOLDERS]
        raise InputError(
            "The folder holds no token file that is known.",
            where=str(folder),
            fix=f"Name one of its folders ({', '.join(inner)})."
            if inner
            else "Name a folder with shard-*.bin, .npy, .ds, .parquet or .arrow files.",
        )
    left_out = len(bins) - len(shards)
    if not shards:
        return bins, [f"No file is named shard-*.bin, so all {len(bins)} .bin are read."]
    notes = [f"{left_out} .bin files are not named shard-*.bin and were left out."] if left_out else []
    return shards, notes


def _trusted(paths: list[Path], manifest: Manifest) -> str:
    if manifest.states_schema:
        return f"manifest.json states the schema {SCHEMA}, whose ids are u32."
    if all(path.name.startswith("shard-") for path in paths):
        return f"No header; the name shard-*.bin is that of {NAME}, whose ids are u32."
    return "manifest.json lies beside it, as with u32 ids." if manifest.content is not None else ""


def _confirmed(shard: TokenShard, manifest: Manifest) -> Sniff:
    """The manifest states u32 ids, and as many as there are: nothing is left to guess."""
    stated = (manifest.content or {}).get("total_tokens")
    if shard.format != NAME or not manifest.states_schema or stated != shard.tokens:
        return shard.sniff
    reason = f"manifest.json states {SCHEMA} and {stated:,} tokens, which is what 4-byte ids give."
    return Sniff("certain", (reason, *shard.sniff.reasons))
