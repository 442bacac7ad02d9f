"""The table of readers, and `open_checkpoint`. A new format is one file and one row; the first to claim a path wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diag.checkpoints.formats import apr_file, gguf_file, hf_folder, safetensors_file, torch_file
from diag.checkpoints.identify.assemble import assemble
from diag.checkpoints.reader import Checkpoint, OpenedCheckpoint
from diag.errors import InputError

HEAD_BYTES = 64


@dataclass(frozen=True)
class Format:
    """A row of the table. `claims(path, head)` looks at the path and the first bytes of a file (empty for a folder);
    `open(path)` reads headers only, and raises InputError in one line for whatever it cannot believe."""

    name: str
    claims: Callable[[Path, bytes], bool]
    open: Callable[[Path], OpenedCheckpoint]


# What a file starts with says more than its name, so the formats with a magic come first.
FORMATS: tuple[Format, ...] = (
    Format("GGUF", gguf_file.claims, gguf_file.open_path),
    Format("Hugging Face folder", hf_folder.claims, hf_folder.open_path),
    Format("safetensors", safetensors_file.claims, hf_folder.open_safetensors),
    Format("apr", apr_file.claims, apr_file.open_file),
    Format("torch", torch_file.claims, torch_file.open_file),
    Format("safetensors by its name", safetensors_file.is_named, hf_folder.open_safetensors),
    Format("GGUF by its name", gguf_file.is_named, gguf_file.open_path),
)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a weight file, or a folder that holds one checkpoint. Reads configuration and headers, no tensor.

    Errors: InputError of one line: nothing there, a format that is not read, a header that cannot be believed.
    """
    path = Path(path)
    head = _head(path)
    for reader in FORMATS:
        if reader.claims(path, head):
            found = assemble(path, reader.open(path))
            if not any(info.elements for info in found.tensors.values()):
                raise InputError("the file holds no tensor.", where=str(path), fix="Save or copy the checkpoint again.")
            return found
    raise InputError("this is no weight file that is known.", where=str(path), fix=hf_folder.FIX)


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
