"""Open a Hugging Face checkpoint: config.json beside one .safetensors file. Other formats are named and refused."""

from __future__ import annotations

from pathlib import Path

from diag import jsonio
from diag.checkpoints.config import declared, parse_config
from diag.checkpoints.families import declared_family, family_of, known_architectures
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.safetensors_file import read_header
from diag.checkpoints.untrusted import json_object
from diag.errors import InputError

MAX_CONFIG_BYTES = 10_000_000
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
USE_SAFETENSORS = "Give a folder with config.json and one .safetensors file."

# What other weight files look like: the name of the format, its first bytes, its file names.
OTHER_FORMATS: tuple[tuple[str, bytes | None, tuple[str, ...]], ...] = (
    ("a sharded safetensors checkpoint", None, ("*.safetensors.index.json",)),
    ("a GGUF file", b"GGUF", ("*.gguf",)),
    ("an APR file of version 2", b"APR\0", ("*.apr",)),
    ("an APR file of version 1, a classic-ML object and no transformer", b"APRN", ()),
    ("a PyTorch archive", b"PK\x03\x04", ("pytorch_model*.bin", "*.pt", "*.pth")),
    ("a pickle, which could run code", b"\x80\x02", ()),
)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a folder, or a .safetensors file with config.json beside it. Reads config.json and the header only.

    Errors: InputError of one line: nothing there, a format that is not read yet, an architecture the table does not
    know, a config.json or header that cannot be believed.
    """
    path = Path(path)
    try:
        is_folder = path.is_dir()
        exists = is_folder or path.is_file()  # a pipe or a device could block for ever
        weights = _weights_in(path) if is_folder else path
    except (OSError, ValueError):  # no permission, a name too long, a null byte
        exists = False
    if not exists:
        raise InputError("there is no such file or folder, or it may not be read.", where=str(path), fix="Check it.")
    if not is_folder:
        _refuse_other_formats(path)
    folder = weights.parent
    raw = _read_config(folder / "config.json")
    architecture, model_type = declared(raw)
    stamped = declared_family(architecture, model_type)
    if stamped is None:
        raise InputError(
            f"the architecture {architecture or model_type or 'is not named and'} is not known.",
            where=str(folder / "config.json"),
            fix=f"Known are {', '.join(known_architectures())}.",
        )
    config = parse_config(raw, where=str(folder / "config.json"), defaults=stamped.defaults)
    tensors, notes = read_header(weights)
    return Checkpoint(
        path=path,
        format="safetensors",
        config=config,
        raw_config=raw,
        family=family_of(config, tensors.keys()),
        tensors=tensors,
        files=(weights,),
        tokenizer_dir=folder if any((folder / name).is_file() for name in TOKENIZER_FILES) else None,
        notes=notes,
    )


def _weights_in(folder: Path) -> Path:
    """The one .safetensors file of a folder: model.safetensors, or the only one there."""
    if (folder / "model.safetensors").is_file():
        return folder / "model.safetensors"
    found = sorted(file for file in folder.glob("*.safetensors") if file.is_file())
    sharded = next(folder.glob("*.safetensors.index.json"), None) is not None
    if len(found) == 1 and not sharded:
        return found[0]
    if found and not sharded:
        names = ", ".join(file.name for file in found[:3])
        raise InputError(f"there are {len(found)} weight files ({names}).", where=str(folder), fix="Name one of them.")
    for what, _, patterns in OTHER_FORMATS:
        if any(next(folder.glob(pattern), None) for pattern in patterns):
            raise _not_read(what, folder)
    raise InputError("the folder holds no checkpoint.", where=str(folder), fix=USE_SAFETENSORS)


def _refuse_other_formats(path: Path) -> None:
    """The first bytes decide, then the name. A brace at byte 8 is a safetensors header, whatever its length reads as
    (640 bytes looks like a pickle)."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}.", where=str(path), fix="Check the path.") from None
    if start[8:] == b"{":
        return
    by_content = [what for what, magic, _ in OTHER_FORMATS if magic and start.startswith(magic)]
    by_name = [what for what, _, patterns in OTHER_FORMATS if any(path.match(pattern) for pattern in patterns)]
    if by_content or by_name:
        raise _not_read((by_content or by_name)[0], path)
    if path.suffix != ".safetensors":
        raise InputError("this is no weight file that is known.", where=str(path), fix=USE_SAFETENSORS)


def _not_read(what: str, path: Path) -> InputError:
    return InputError(f"this is {what}; that is not read yet.", where=str(path), fix=USE_SAFETENSORS)


def _read_config(path: Path) -> dict[str, object]:
    fix = "Put the model's config.json beside the weights."
    if not path.is_file():
        raise InputError("config.json is missing.", where=str(path), fix=fix)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise InputError(f"config.json cannot be read: {error.strerror}.", where=str(path), fix=fix) from None
    if len(data) > MAX_CONFIG_BYTES:
        raise InputError("config.json is larger than 10 MB.", where=str(path), fix=fix)
    raw = json_object(data, where=str(path), fix=fix)
    try:
        jsonio.canonical(raw)  # what the fingerprint will be taken of
    except (UnicodeEncodeError, RecursionError):
        raise InputError(
            "config.json holds text that is no Unicode, or is nested too deeply.", where=str(path), fix=fix
        ) from None
    return raw
