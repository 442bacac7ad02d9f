"""Which files of a folder are checkpoints, by names alone, where a suffix does not say it all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from diag.checkpoints.formats.hf_folder import INDEX
from diag.checkpoints.formats.torch_file import SUFFIXES
from diag.listing import PART, FolderNames, Listed, is_named_for_tokens, is_named_for_weights, is_trainer_state


def hf_folders(folder: FolderNames) -> Iterator[Listed]:
    """The folder, if its files together are one checkpoint; the safetensors files where there are others too."""
    files = _safetensors_parts(folder) or _torch_parts(folder)
    if files:
        yield Listed(folder.path, tuple(files))


def safetensors_files(folder: FolderNames) -> Iterator[Listed]:
    """Several loose files are several checkpoints, one for each training step for instance."""
    parts = set(_safetensors_parts(folder))
    yield from (Listed(file, (file,)) for file in _safetensors(folder) if file not in parts)


def torch_files(folder: FolderNames) -> Iterator[Listed]:
    """Files that are no parts of one checkpoint."""
    parts = set(_torch_parts(folder))
    yield from (Listed(file, (file,)) for file in _torch(folder) if file not in parts)


def gguf_models(folder: FolderNames) -> Iterator[Listed]:
    """A model in several files is listed once, at its first file."""
    yield from (Listed(files[0], tuple(files)) for files in models_in(folder.with_suffix(".gguf")))


def models_in(files: Sequence[Path]) -> list[list[Path]]:
    """The files of each model: parts that are numbered `-00001-of-00003` belong together."""
    models: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        part = PART.fullmatch(file.stem)
        models[part[1] if part else file.stem + "/"].append(file)  # no file name holds a slash
    return list(models.values())


def _safetensors(folder: FolderNames) -> list[Path]:
    return [file for file in folder.with_suffix(".safetensors") if not is_trainer_state(file.name)]


def _safetensors_parts(folder: FolderNames) -> list[Path]:
    weights = _safetensors(folder)
    if any(name.endswith(".safetensors" + INDEX) for name in folder.names):
        return weights
    parts = [file for file in weights if file.name == "model.safetensors" or PART.fullmatch(file.stem)]
    alone = len(weights) == 1 and "config.json" in folder.names
    return weights if alone else parts


def _torch(folder: FolderNames) -> list[Path]:
    """By the name; beside a config.json also a `.bin` of any name but those of token files."""
    files = folder.with_suffix(*SUFFIXES)
    if "config.json" not in folder.names:
        return [file for file in files if is_named_for_weights(file)]
    return [file for file in files if is_named_for_weights(file) or not _is_no_model(file, folder)]


def _torch_parts(folder: FolderNames) -> list[Path]:
    return [file for file in _torch(folder) if PART.fullmatch(file.stem)]


def _is_no_model(file: Path, folder: FolderNames) -> bool:
    indexed = file.with_suffix(".idx").name in folder.names
    return is_named_for_tokens(file) or is_trainer_state(file.name) or indexed
