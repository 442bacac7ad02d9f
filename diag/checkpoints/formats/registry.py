"""The table of readers, and `open_checkpoint`. A new format is one file and one row; the first to claim a path wins.

The catalogue lists folders with the same table, so whatever is listed can be opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from diag.checkpoints.formats import apr_file, gguf_file, hf_folder, listing, safetensors_file, torch_file
from diag.checkpoints.formats.companions import TOKENIZER_FILES
from diag.checkpoints.identify.assemble import assemble
from diag.checkpoints.reader import Checkpoint, OpenedCheckpoint
from diag.errors import InputError
from diag.file_state import FileState, states_around, states_of_read
from diag.foreign import refusal, refuse
from diag.listing import Lister, each_file, is_trainer_state

HEAD_BYTES = 64
MOST_LOOKED_AT = 100  # files of a folder without a checkpoint
_BESIDE = ("config.json", *TOKENIZER_FILES)


@dataclass(frozen=True)
class Format:
    """A row of the table: all that is known of a format.

    claims(path, head): whether the format knows a path by the first bytes of the file (empty for a folder), or by a
    name that nothing else has. suffixes: of files that no row claims, and of the weight file of a folder that no row
    claims. open(path): reads headers only, and raises InputError in one line for whatever it cannot believe. lists:
    what of a folder is offered for opening, by names alone. companions: files beside the weights that change what they
    mean. joins_parts: whether `open` finds the other parts of a model that is split over several files.
    """

    name: str
    claims: Callable[[Path, bytes], bool]
    suffixes: tuple[str, ...]
    open: Callable[[Path], OpenedCheckpoint]
    lists: Lister
    companions: tuple[str, ...] = _BESIDE
    joins_parts: bool = False


# What a file starts with says more than its name. The brace of safetensors is the weakest sign, so it comes last: GGUF
# and .apr have the number of their tensors at the same byte, and 123 reads as a brace.
FORMATS: tuple[Format, ...] = (
    Format(
        "Hugging Face folder",
        hf_folder.claims,
        (),
        hf_folder.open_path,
        listing.hf_folders,
        (*_BESIDE, "*" + hf_folder.INDEX),
    ),
    Format("torch", torch_file.claims, torch_file.SUFFIXES, torch_file.open_file, listing.torch_files),
    Format("apr", apr_file.claims, (".apr",), apr_file.open_file, each_file(".apr")),
    Format("GGUF", gguf_file.claims, (".gguf",), gguf_file.open_path, listing.gguf_models, joins_parts=True),
    Format(
        "safetensors",
        safetensors_file.claims,
        (".safetensors",),
        hf_folder.open_safetensors,
        listing.safetensors_files,
    ),
)


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open a weight file, or a folder that holds one checkpoint. Reads configuration and headers, no tensor.

    Errors: InputError of one line: nothing there, a format that is not read, a header that cannot be believed.
    """
    path = Path(path)
    before = states_around(path)
    reader, found = _reader_of(path)
    checkpoint = assemble(path, reader.open(found))
    if not any(info.elements for info in checkpoint.tensors.values()):
        raise InputError("the file holds no tensor.", where=str(path), fix="Save or copy the checkpoint again.")
    return replace(checkpoint, files_read=states_of_read(_read_of(checkpoint, before), before))


def _read_of(checkpoint: Checkpoint, before: Mapping[Path, FileState]) -> list[Path]:
    """The weight files, and what decides beside them: what was there before, what came while they were opened, and a
    tokenizer, which is read later."""
    folder = checkpoint.files[0].parent
    names = {path.name for path in (*before, *folder.iterdir())}
    beside = {name for name in names if name in _BESIDE or name.endswith(hf_folder.INDEX)} | {"tokenizer.json"}
    return [*checkpoint.files, *(folder / name for name in sorted(beside))]


def _reader_of(path: Path) -> tuple[Format, Path]:
    """The row that opens a path, and what it opens: the path, or the one weight file of a folder."""
    head = _head(path)
    for row in FORMATS:
        if row.claims(path, head):
            return row, path
    if path.is_dir():
        return _reader_of(_weights_in(path))
    refuse(path)
    for row in FORMATS:
        if path.suffix.lower() in row.suffixes:
            return row, path
    raise InputError("this is no weight file that is known.", where=str(path), fix=hf_folder.FIX)


def _weights_in(folder: Path) -> Path:
    """The file of a folder that has the first of all suffixes, in the order of the table."""
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file())
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}.", where=str(folder), fix="Check the path.") from None
    for row, suffix in ((each, suffix) for each in FORMATS for suffix in each.suffixes):
        weights = [file for file in files if file.suffix.lower() == suffix and not is_trainer_state(file.name)]
        if row.joins_parts:
            weights = [parts[0] for parts in listing.models_in(weights)]
        if weights:
            return hf_folder.only_one(weights, "weight files", folder)
    for file in files[:MOST_LOOKED_AT]:
        if (other := refusal(file, models=True)) is not None:
            raise other
    raise InputError("the folder holds no checkpoint.", where=str(folder), fix=hf_folder.FIX)


def checksum_matches(checkpoint: Checkpoint) -> bool | None:
    """Whether the checksum that the file carries is that of its bytes; None for a format without one. Cost: reads the
    whole file."""
    return apr_file.footer_matches(checkpoint.files[0]) if checkpoint.format == apr_file.NAME else None


def _head(path: Path) -> bytes:
    """The first bytes of a regular file, none of a folder; a pipe or a device could block for ever."""
    try:
        if path.is_dir():
            return b""
        if path.is_file():
            with path.open("rb") as file:
                return file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}.", where=str(path), fix="Check the path.") from None
    except ValueError:  # a null byte
        pass
    raise InputError("there is no such file or folder, or it may not be read.", where=str(path), fix="Check it.")
