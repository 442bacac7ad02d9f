"""A small sound sample of every row of the tables of formats: what the catalogue lists, and what the fuzzers damage."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent / "shards"))
sys.path.insert(0, str(Path(__file__).parent / "checkpoints"))
import apr_samples
import gguf_samples
from checkpoint_samples import CONFIG, healthy_tensors
from token_files import WRITERS

DOCUMENTS = [[*range(1, 40), 0], [*range(1, 70), 0]] * 8


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
    "MosaicML MDS": [lambda folder: written("mds")(folder).parent],
    "litdata": [lambda folder: written("litdata")(folder).parent],
    "packed": [lambda folder: written("packed")(folder).parent],
    "npy": [written("npy")],
    "parquet": [written("parquet")],
    "arrow": [written("arrow stream"), written("arrow file"), arrow_folder],
    "megatron": [written("megatron")],
    "llm.c": [lambda folder: written("llm.c")(folder).parent],
    "litpkds": [lambda folder: written("litpkds")(folder).parent],
    "datatrove": [lambda folder: written("datatrove")(folder).parent],
    "dolma": [lambda folder: written("dolma")(folder).parent],
    "pretokenize-bin-v1": [written("headerless"), corpus],
}


def safetensors(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_file(healthy_tensors(layers=1), folder / name)
        return folder / name

    return write


def hf_folder(folder: Path) -> Path:
    named(folder, "config.json", json.dumps(CONFIG | {"num_hidden_layers": 1}))
    return safetensors("model.safetensors")(folder).parent


def torch_file(name: str, *, is_zip: bool = True) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        state = OrderedDict((name, torch.from_numpy(values)) for name, values in healthy_tensors(layers=1).items())
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
    "GGUF": [
        lambda folder: gguf_samples.export(
            folder / "m.gguf", CONFIG | {"num_hidden_layers": 1}, healthy_tensors(layers=1)
        )
    ],
    "safetensors": [safetensors("step-1.safetensors")],
}
SAMPLES = [
    *(("shard", name, write) for name, writers in SHARDS.items() for write in writers),
    *(("checkpoint", name, write) for name, writers in CHECKPOINTS.items() for write in writers),
]
