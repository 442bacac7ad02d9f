"""What is fuzzed: every row of the tables of formats, by the sample that each row must have, and what lies beside.

A format that is added to a table joins by its sample in tests/format_samples.py, without which a test fails.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "model"))
from format_samples import CHECKPOINTS, SHARDS

from diag.checkpoints import open_checkpoint
from diag.model.estimate import refuse_absent_layers
from diag.shards import TokenText, open_shard

MOST_IDS = 1 << 22  # decoded of one file: a count that passed every check may still be large
WORDS = ["the", "and", "of", "loss", "gate", "norm", "head", "shard", "token", "chance"] * 20


@dataclass(frozen=True)
class Reader:
    """write(folder): a sound sample, and the path that is opened. use(path): opens it and reads something of
    everything, or raises InputError. tries: how many damaged copies `make fuzz` makes; fewer where a third-party
    parser reads the file. victims: the files that are damaged, by pattern."""

    name: str
    write: Callable[[Path], Path]
    use: Callable[[Path], None]
    tries: int = 100_000
    victims: str = "*"


def use_checkpoint(path: Path) -> None:
    """Open, list, and read the smallest tensor."""
    checkpoint = open_checkpoint(path)
    small = sorted((i for i in checkpoint.tensors.values() if i.elements), key=lambda i: i.nbytes)
    if small and small[0].nbytes < 1 << 24:
        checkpoint.float32(small[0].name)
    if checkpoint.model is not None:
        refuse_absent_layers(checkpoint)


def use_model(path: Path) -> None:
    """Build the model and run it on a few ids."""
    import torch
    from tiny import tiny_ids

    from diag.model.build import build

    with torch.inference_mode():
        build(open_checkpoint(path), device="cpu", dtype="fp32").module(input_ids=tiny_ids())


def use_shard(path: Path) -> None:
    """Open, and read ids from the middle, all in pieces, and the documents."""
    shard = open_shard(path)
    for index, file in enumerate(shard.shards):
        middle = file.tokens // 2
        assert len(shard.ids(index, middle, middle + 5)) == min(5, file.tokens - middle)
        stop = min(file.tokens, MOST_IDS)
        assert sum(len(read()) for read in file.source.pieces(stop)) == stop
        for lengths in file.source.document_lengths() or ():
            assert lengths.min(initial=0) >= 0


def use_tokenizer(path: Path) -> None:
    """Both directions."""
    text = TokenText.open(path)
    text.decode([0, 1, 5])
    text.encode("the loss")


def write_tokenizer(folder: Path) -> Path:
    """A byte-level BPE of a few hundred entries."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(WORDS, vocab_size=300, min_frequency=1, special_tokens=["<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_model(folder: Path) -> Path:
    """A tiny Llama of transformers, with its config.json."""
    from tiny import write_tiny

    write_tiny("llama", folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


def write_index(folder: Path) -> Path:
    """A Hugging Face folder of one part and its index."""
    CHECKPOINTS["Hugging Face folder"][0](folder)
    part = (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    names = open_checkpoint(part).tensors
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(names, part.name)}))
    return folder


def _of(row: str, writers: list[Callable[[Path], Path]], use: Callable[[Path], None], tries: int) -> Iterator[Reader]:
    """A reader for each sample of a row, which share its tries."""
    for number, write in enumerate(writers, 1):
        yield Reader(row if len(writers) == 1 else f"{row} {number}", write, use, tries // len(writers))


IN_A_CHILD = ("parquet", "arrow", "packed", "MosaicML MDS", "litdata")  # read by a third-party parser
READERS = {
    reader.name: reader
    for reader in (
        *(r for row, writers in CHECKPOINTS.items() for r in _of(row, writers, use_checkpoint, 100_000)),
        Reader("sharded index", write_index, use_checkpoint, victims="*.index.json"),
        *(
            reader
            for row, writers in SHARDS.items()
            for reader in _of(row, writers, use_shard, 10_000 if row in IN_A_CHILD else 100_000)
        ),
        Reader("config.json", CHECKPOINTS["Hugging Face folder"][0], use_checkpoint, victims="config.json"),
        Reader("config.json, built", write_model, use_model, 10_000, victims="config.json"),
        Reader("tokenizer.json", write_tokenizer, use_tokenizer, 10_000),
    )
}
