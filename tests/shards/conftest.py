"""Real shards on disk, and a small real tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models

from diag.shards.counting import scan

WriteShard = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def compiled_loops() -> None:
    """Before the first property is timed."""
    scan.warm()


@pytest.fixture(scope="session")
def write_shard(tmp_path_factory: pytest.TempPathFactory) -> WriteShard:
    """write_shard([ids of file 0, ids of file 1, ...], dtype) → a new folder. Session-wide: properties use it."""

    def write(files: Sequence[Sequence[int]], dtype: str = "<u4", manifest: str | None = None) -> Path:
        folder = tmp_path_factory.mktemp("shard")
        for index, ids in enumerate(files):
            np.array(ids, dtype=dtype).tofile(folder / f"shard-{index:05d}.bin")
        if manifest is not None:
            (folder / "manifest.json").write_text(manifest)
        return folder

    return write


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer with 6 entries, `<unk>` among them but not declared, and one added token at id 6."""
    vocab = {"a": 0, "Ġthe": 1, "Ċ": 2, "<unk>": 3, "Ã": 4, "[b]": 5}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
