"""Headerless ids in `.bin` files: `pretokenize-bin-v1` (u32, a manifest beside them perhaps) and nanoGPT's (u16).

Neither has a header. The type is guessed from the ids (guess.py); names decide where the ids leave it open. nanoGPT's
data/*/prepare.py writes train.bin and val.bin.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from diag.errors import InputError
from diag.shards.formats import headerless
from diag.shards.formats.foreign_files import refuse_folder
from diag.shards.formats.gather import names_in, with_suffix
from diag.shards.formats.guess import IdType
from diag.shards.formats.manifest import SCHEMA, Manifest, disagreements, read_manifest
from diag.shards.formats.naming import MOST_MISSING, numberings
from diag.shards.reader import Sniff, TokenDataset

NAME = "pretokenize-bin-v1"
_NANOGPT = re.compile(r"(train|val)\.bin", re.IGNORECASE)
_SHOWN_FOLDERS = 5


def claims(path: Path, head: bytes) -> bool:
    """Any folder, and any file that ends in .bin: there is nothing else to go by."""
    return path.is_dir() or path.suffix.lower() == ".bin"


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one `.bin`, or those of a folder in lexical order: `shard-*.bin` if there are any, else all of them.

    u32 has the benefit of the doubt under a name `shard-*.bin` or with a manifest, and wherever several types fit but
    the name is one of nanoGPT's. InputError for a folder that holds other tokens than its manifest counts, unless files
    are missing, which are named; a given dtype reads what is there. See headerless.open_all for the cost and more
    errors.
    """
    whole_folder = path.is_dir()
    paths, left_out = _listed(path) if whole_folder else ([path], 0)
    manifest = read_manifest(path if whole_folder else path.parent)
    nanogpt = all(_NANOGPT.fullmatch(each.name) for each in paths) and manifest.content is None
    dataset = headerless.open_all(
        path,
        NAME,
        paths,
        dtype,
        favourite="u16" if nanogpt else "u32",
        trusted=_trusted(paths, manifest),
        vocab_size=manifest.vocab_size,
    )
    if dataset.dtype != "u32" or dataset.byte_order != "little":
        dataset = replace(dataset, format=f"headerless-{dataset.dtype}")
    compared = whole_folder and not dataset.left_out_noted
    off = disagreements(manifest, dataset.tokens, len(dataset.shards) + len(dataset.bad_files)) if compared else ()
    missing = _missing(manifest, dataset) if whole_folder and not left_out else dataset.missing
    if off and dtype is None and not left_out and not missing and _incomplete(manifest, dataset):
        raise InputError(
            " ".join(off),
            where=str(path),
            fix="Copy the folder again, or correct or remove manifest.json; `python -m diag shard` with "
            f"--dtype {_type_of(manifest, dataset)} audits what is there.",
        )
    return replace(
        dataset,
        sniff=_confirmed(dataset, manifest) if whole_folder and dtype is None and not off else dataset.sniff,
        separator=manifest.separator,
        manifest=manifest.content,
        vocab_size=manifest.vocab_size,
        notes=(*(_of_names(paths, left_out) if whole_folder else ()), *dataset.notes, *off, *manifest.notes),
        left_out_noted=left_out > 0 or dataset.left_out_noted,
        missing=missing,
    )


def _missing(manifest: Manifest, dataset: TokenDataset) -> tuple[str, ...]:
    """The files that are not there by their numbers, and the next ones up to as many as the manifest counts. None where
    it counts the tokens that are there."""
    if manifest.total_tokens == dataset.tokens:
        return ()
    names = [shard.path.name for shard in dataset.shards] + [bad.path.name for bad in dataset.bad_files]
    counted = manifest.shard_count if (manifest.content or {}).get("schema", SCHEMA) == SCHEMA else 0
    more = (counted or 0) - len(names) - len(dataset.missing)
    groups = numberings(names)
    if not 0 < more <= MOST_MISSING or len(groups) != 1:
        return dataset.missing
    first, last = groups[0].found[0], groups[0].found[-1]
    numbers = [*range(first), *range(last + 1, last + 1 + more)][:more]  # the first file is 0
    return (*dataset.missing, *map(groups[0].name, numbers))


def _incomplete(manifest: Manifest, dataset: TokenDataset) -> bool:
    """Whether something is missing, or was changed after it was counted. The tokens tell, where all could be read: an
    empty file more or less is no loss."""
    if (manifest.content or {}).get("schema", SCHEMA) != SCHEMA:
        return False  # who knows what it counts
    if manifest.total_tokens is not None and not dataset.bad_files:
        return manifest.total_tokens != dataset.tokens
    return manifest.shard_count not in (None, len(dataset.shards) + len(dataset.bad_files))


def _type_of(manifest: Manifest, dataset: TokenDataset) -> str:
    """The type of ids with which the folder would hold what the manifest counts, else the one it was read as."""
    size = dataset.tokens * dataset.numpy_dtype.itemsize
    counted = manifest.total_tokens or 0
    fitting = (dtype for dtype in ("u16", "u32", "i64") if counted * IdType(dtype).numpy.itemsize == size)
    return next(fitting, dataset.dtype)


def _listed(folder: Path) -> tuple[list[Path], int]:
    """The files to read, and how many others end in .bin."""
    bins = with_suffix(folder, ".bin")
    shards = [path for path in bins if path.name.startswith("shard-")]
    if not bins:
        refuse_folder(folder, names_in(folder))
        inner = [name for name in names_in(folder) if (folder / name).is_dir()][:_SHOWN_FOLDERS]
        raise InputError(
            "The folder holds no token file that is known.",
            where=str(folder),
            fix=f"Name one of its folders ({', '.join(inner)})."
            if inner
            else "Name a folder with shard-*.bin, .npy, .ds, .parquet or .arrow files.",
        )
    return (shards, len(bins) - len(shards)) if shards else (bins, 0)


def _of_names(paths: list[Path], left_out: int) -> tuple[str, ...]:
    """What the names of a folder's files decided."""
    if left_out:
        return (f"{left_out} .bin files are not named shard-*.bin and were left out.",)
    if not paths[0].name.startswith("shard-"):
        return (f"No file is named shard-*.bin, so all {len(paths)} .bin are read.",)
    return ()


def _trusted(paths: list[Path], manifest: Manifest) -> str:
    if manifest.states_schema:
        return f"manifest.json states the schema {SCHEMA}, whose ids are u32."
    if all(path.name.startswith("shard-") for path in paths):
        return f"No header; the name shard-*.bin is that of {NAME}, whose ids are u32."
    return "manifest.json lies beside it, as with u32 ids." if manifest.content is not None else ""


def _confirmed(dataset: TokenDataset, manifest: Manifest) -> Sniff:
    """The manifest states u32 ids, and as many as there are: nothing is left to guess."""
    if dataset.format != NAME or not manifest.states_schema or manifest.total_tokens != dataset.tokens:
        return dataset.sniff
    reason = f"manifest.json states {SCHEMA} and {dataset.tokens:,} tokens, which is what 4-byte ids give."
    return Sniff("certain", (reason, *dataset.sniff.reasons))
