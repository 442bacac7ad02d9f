"""Rules about weight files that lie beside those that were read, under the same name: a part that no index names, a
part that was opened without the others, or a second generation of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diag.checkpoints.audit.facts import CheckpointFacts
from diag.checkpoints.audit.rule import AuditFinding, AuditRule, Check
from diag.checkpoints.families import expected_tensors
from diag.checkpoints.formats import safetensors_file, torch_file
from diag.checkpoints.reader import Checkpoint
from diag.errors import InputError, one_line
from diag.listing import PART

MOST_FILES = 100  # whose headers are read
READERS = {".safetensors": safetensors_file.read_header, ".bin": torch_file.read_tensors}

PART_LEFT_OUT = AuditRule(
    "part_left_out",
    "error",
    "{file} holds {count:,} of the tensors that are missing, such as {name}, and is not read, because {why}.",
    "{fix}",
    "a file that is numbered as a part of the same model and holds tensors that the files read lack",
    "a third part that the index does not name",
)
PART_UNREAD = AuditRule(
    "part_unread",
    "warning",
    "{file} is numbered as a part of the same model and is not read, because {why}.",
    "{fix}",
    "the same, where no tensor is missing or the file cannot be read",
    "a third part that the index does not name and that repeats a tensor",
)
TWO_GENERATIONS = AuditRule(
    "two_generations",
    "warning",
    "{files} file(s) of another save lie beside {read}, which is read, such as {file}; a loader may take those.",
    "Remove what is left of the other save; name {file} to look at it.",
    "a whole file and numbered parts of the same name in one folder, or parts of different totals",
    "model-00001-of-00002.safetensors beside model.safetensors",
)


def check_left_out(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Cost: the names of the folder, and the headers of files that are left out."""
    checkpoint = facts.checkpoint
    read = checkpoint.files[0]
    others = _of_the_same_name(checkpoint)
    parts = [file for file in others if _total(file) == _total(read) != ""]
    missing = _missing(checkpoint)
    for file in parts[:MOST_FILES]:
        names = _names_in(file)
        found = [name for name in missing if name in names]
        why, fix = _reason(checkpoint)
        if found:
            yield PART_LEFT_OUT.finding(
                count=len(found), name=one_line(found[0], 200), file=one_line(file.name, 100), why=why, fix=fix
            )
        else:
            yield PART_UNREAD.finding(file=one_line(file.name, 100), why=why, fix=fix)
    generations = [file for file in others if file not in parts]
    if generations:
        yield TWO_GENERATIONS.finding(
            files=len(generations), read=one_line(read.name, 100), file=one_line(generations[0].name, 100)
        )


def _of_the_same_name(checkpoint: Checkpoint) -> list[Path]:
    """Weight files that were not read and are called as those that were, up to the numbers of their parts."""
    first = checkpoint.files[0]
    read = {file.name for file in checkpoint.files}
    if first.suffix not in READERS:
        return []  # the parts of other formats name each other
    return [
        file
        for file in sorted(first.parent.glob(f"*{first.suffix}"))
        if file.name not in read and _stem(file) == _stem(first) and file.is_file()
    ]


def _stem(file: Path) -> str:
    """The name without the number of the part."""
    part = PART.fullmatch(file.stem)
    return part[1] if part else file.stem


def _total(file: Path) -> str:
    """Of how many parts the file says that it is one, as written; empty for a whole file."""
    return file.stem.rpartition("-of-")[2] if PART.fullmatch(file.stem) else ""


def _missing(checkpoint: Checkpoint) -> list[str]:
    if checkpoint.family is None:
        return []
    return [name for name in expected_tensors(checkpoint.family, checkpoint.config) if name not in checkpoint.tensors]


def _names_in(file: Path) -> frozenset[str]:
    try:
        return frozenset(READERS[file.suffix](file)[0])
    except InputError:
        return frozenset()


def _reason(checkpoint: Checkpoint) -> tuple[str, str]:
    """(why a part is not read, what to do)."""
    if checkpoint.path.is_file() and checkpoint.path == checkpoint.files[0]:
        return "one file was named and not the model", "Name the folder, or its index."
    return "no index names it", "Write the index again from all parts, or remove the file if it is of another save."


CHECK = Check((PART_LEFT_OUT, PART_UNREAD, TWO_GENERATIONS), check_left_out)
