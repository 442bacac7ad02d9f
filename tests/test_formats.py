"""One file and one row: what a row of the tables of formats says is listed by the catalogue and can be opened."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from diag.catalogue import Kind, scan
from diag.checkpoints import open_checkpoint
from diag.checkpoints.formats import registry as checkpoint_registry
from diag.errors import InputError
from diag.settings import load_settings
from diag.shards import open_shard
from diag.shards.formats import registry as shard_registry

sys.path.insert(0, str(Path(__file__).parent / "shards"))
sys.path.insert(0, str(Path(__file__).parent / "checkpoints"))
import apr_samples
import gguf_samples
from checkpoint_samples import CONFIG, healthy_tensors
from token_files import WRITERS

DOCUMENTS = [[*range(1, 40), 0], [*range(1, 70), 0]] * 8


def listed(root: Path, kind: Kind) -> list[Path]:
    """The real paths of what a scan offers."""
    found = scan(load_settings({"SUBRANDOM_ROOTS": str(root), "SUBRANDOM_DEMO": str(root / "none")}))
    return [found.resolve(kind, entry.id) for entry in found.of(kind)]


def written(name: str) -> Callable[[Path], Path]:
    return lambda folder: WRITERS[name].write(folder, DOCUMENTS, WRITERS[name].dtypes[-1])


def named(folder: Path, name: str, content: str = "{}") -> None:
    (folder / name).write_text(content)


def arrow_folder(folder: Path) -> Path:
    named(folder, "state.json")
    named(folder, "dataset_info.json")
    written("arrow stream")(folder)
    return folder


def corpus(folder: Path) -> Path:
    for number in range(2):
        WRITERS["headerless"].write(folder, DOCUMENTS, "u32", f"shard-{number:05}.bin")
    return folder


# Row of the table → writers of what it opens; each returns the path that the catalogue should offer.
SHARDS: dict[str, list[Callable[[Path], Path]]] = {
    "npy": [written("npy")],
    "parquet": [written("parquet")],
    "arrow": [written("arrow stream"), written("arrow file"), arrow_folder],
    "megatron": [written("megatron")],
    "llm.c": [lambda folder: written("llm.c")(folder).parent],
    "datatrove": [lambda folder: written("datatrove")(folder).parent],
    "dolma": [lambda folder: written("dolma")(folder).parent],
    "pretokenize-bin-v1": [written("headerless"), corpus],
}


def safetensors(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_file(healthy_tensors(), folder / name)
        return folder / name

    return write


def hf_folder(folder: Path) -> Path:
    named(folder, "config.json", json.dumps(CONFIG))
    return safetensors("model.safetensors")(folder).parent


def torch_file(name: str, *, is_zip: bool = True) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        state = OrderedDict((name, torch.from_numpy(values)) for name, values in healthy_tensors().items())
        torch.save(state, folder / name, _use_new_zipfile_serialization=is_zip)
        return folder / name

    return write


def apr(tensors: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        values = {f"w{i}": apr_samples.stored(np.ones((2, 2), np.float32)) for i in range(tensors)}
        (folder / "m.apr").write_bytes(apr_samples.apr(values))
        return folder / "m.apr"

    return write


CHECKPOINTS: dict[str, list[Callable[[Path], Path]]] = {
    "Hugging Face folder": [hf_folder],
    "torch": [
        torch_file("model.ckpt"),
        torch_file("epoch=3-step=100.ckpt", is_zip=False),
        torch_file("step.pt"),
        torch_file("consolidated.00.pth"),
        torch_file("pytorch_model.bin"),
    ],
    "apr": [apr(3), apr(123)],  # 123 tensors put a brace where safetensors has its own
    "GGUF": [lambda folder: gguf_samples.export(folder / "m.gguf", CONFIG, healthy_tensors())],
    "safetensors": [safetensors("step-1.safetensors")],
}
SAMPLES = [
    *(("shard", name, write) for name, writers in SHARDS.items() for write in writers),
    *(("checkpoint", name, write) for name, writers in CHECKPOINTS.items() for write in writers),
]


def test_every_row_has_a_sample() -> None:
    assert set(SHARDS) == {row.name for row in shard_registry.FORMATS if row.is_read}
    assert set(CHECKPOINTS) == {row.name for row in checkpoint_registry.FORMATS}


@pytest.mark.parametrize(("kind", "row", "write"), SAMPLES)
def test_what_a_row_opens_is_listed(tmp_path: Path, kind: Kind, row: str, write: Callable[[Path], Path]) -> None:
    (tmp_path / "data").mkdir()
    path = write(tmp_path / "data")
    assert path in listed(tmp_path, kind)
    if kind == "shard":
        assert open_shard(path).format in (row, "huggingface-arrow", "headerless-i64")
    else:
        assert open_checkpoint(path).tensors


@pytest.mark.parametrize("write", [write for kind, _, write in SAMPLES if kind == "checkpoint"])
def test_the_folder_of_one_checkpoint_opens_as_it(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    (tmp_path / "training_args.bin").write_bytes(b"no weights")
    assert set(open_checkpoint(tmp_path).tensors) == set(open_checkpoint(path).tensors)


def test_what_is_recognised_and_not_read_is_refused_by_its_name_and_not_listed(tmp_path: Path) -> None:
    unread = [row.name for row in shard_registry.FORMATS if not row.is_read]
    for name, index in (("MosaicML MDS", '{"shards": [{"format": "mds"}]}'), ("litdata", '{"data_format": ["int"]}')):
        folder = tmp_path / name
        folder.mkdir()
        named(folder, "index.json", index)
        (folder / "chunk-0-0.bin").write_bytes(bytes(400))
        (folder / "shard.00000.mds").write_bytes(bytes(400))
        with pytest.raises(InputError, match=f"A {name} data set is not read yet"):
            open_shard(folder)
        unread.remove(name)
    assert not unread and listed(tmp_path, "shard") == []
    with pytest.raises(InputError, match="A litdata shard is not read yet"):
        open_shard(tmp_path / "litdata" / "chunk-0-0.bin", dtype="u32")


def test_a_file_of_another_format_among_headerless_ones_is_named(tmp_path: Path) -> None:
    for row, words in [(each, words) for each in shard_registry.FORMATS for words in each.magics]:
        folder = tmp_path / f"{row.name}-{words[0][0]}"
        folder.mkdir()
        (folder / "shard-00000.bin").write_bytes(np.arange(1, 2000, dtype="<u4").tobytes())
        (folder / "shard-00001.bin").write_bytes(words[0] + bytes(2000))
        (bad,) = open_shard(folder).bad_files
        assert bad.error == f"{words[1]} has another format than the files around it."


def test_an_edited_companion_is_another_entry(tmp_path: Path) -> None:
    written("datatrove")(tmp_path)
    settings = load_settings({"SUBRANDOM_ROOTS": str(tmp_path), "SUBRANDOM_DEMO": str(tmp_path / "none")})
    (before,) = scan(settings).of("shard")
    named(tmp_path, "00000_tokens.ds.metadata", "gpt2|4\n1")
    (after,) = scan(settings).of("shard")
    assert before.stamp != after.stamp and before.bytes == after.bytes
