"""Writers of every token format, by its layout or with its own library. Each returns the path that is opened."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diag.shards.reader import STORED_DTYPES

Documents = Sequence[Sequence[int]]
LLMC_MAGICS = {"u16": 20240520, "u32": 20240801}
MEGATRON_CODES = {"u8": 1, "i8": 2, "i16": 3, "i32": 4, "i64": 5, "u16": 8}


def flat(documents: Documents) -> list[int]:
    """All ids in order."""
    return [i for document in documents for i in document]


def raw(documents: Documents, dtype: str, order: str = "<") -> bytes:
    """The ids as they lie in a file."""
    return np.array(flat(documents), dtype=order + STORED_DTYPES[dtype]).tobytes()


def write_bare(folder: Path, documents: Documents, dtype: str, name: str = "train.bin") -> Path:
    """Headerless."""
    (folder / name).write_bytes(raw(documents, dtype))
    return folder / name


def write_llmc(folder: Path, documents: Documents, dtype: str, name: str = "fineweb_train_000001.bin") -> Path:
    """llm.c."""
    header = np.zeros(256, dtype="<i4")
    header[:3] = LLMC_MAGICS[dtype], 1, len(flat(documents))
    (folder / name).write_bytes(header.tobytes() + raw(documents, dtype))
    return folder / name


def write_litpkds(folder: Path, documents: Documents, dtype: str, name: str = "train_0000000000.bin") -> Path:
    """lit-gpt and TinyLlama."""
    header = b"LITPKDS" + struct.pack("<QBQ", 1, MEGATRON_CODES[dtype], len(flat(documents)))
    (folder / name).write_bytes(header + raw(documents, dtype))
    return folder / name


def megatron_index(lengths: Sequence[int], firsts: Sequence[int], dtype: str, code: int | None = None) -> bytes:
    """The bytes of an .idx: lengths of sequences, and the first sequence of each document."""
    width = int(STORED_DTYPES[dtype][1:])
    sizes = np.array(lengths, dtype=np.int64) * width
    head = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code or MEGATRON_CODES[dtype], len(lengths), len(firsts))
    pointers = (np.cumsum(sizes) - sizes).astype("<i8")
    return head + np.array(lengths, "<i4").tobytes() + pointers.tobytes() + np.array(firsts, "<i8").tobytes()


def write_megatron(folder: Path, documents: Documents, dtype: str, name: str = "corpus.bin") -> Path:
    """Megatron, a sequence a document."""
    (folder / name).write_bytes(raw(documents, dtype))
    index = megatron_index([len(d) for d in documents], range(len(documents) + 1), dtype)
    (folder / name).with_suffix(".idx").write_bytes(index)
    return folder / name


def write_npy(folder: Path, documents: Documents, dtype: str, name: str = "ids.npy") -> Path:
    """NumPy's own writer."""
    np.save(folder / name, np.array(flat(documents), dtype="<" + STORED_DTYPES[dtype]))
    return folder / name


def write_dolma(folder: Path, documents: Documents, dtype: str, name: str = "part-0-00000.npy") -> Path:
    """OLMo and dolma."""
    (folder / name).write_bytes(raw(documents, dtype))
    ends = np.cumsum([len(d) for d in documents])
    rows = [f"{end - len(d)},{end},id-{n},/data/a.jsonl.gz,{n}\n" for n, (d, end) in enumerate(zip(documents, ends))]  # noqa: B905
    (folder / name).with_suffix(".csv.gz").write_bytes(gzip.compress("".join(rows).encode(), mtime=0))
    return folder / name


def write_datatrove(folder: Path, documents: Documents, dtype: str, name: str = "00000_tokens.ds") -> Path:
    """datatrove."""
    (folder / name).write_bytes(raw(documents, dtype))
    ends = np.cumsum([len(d) for d in documents]).astype("<u8")
    (folder / f"{name}.index").write_bytes(ends.tobytes())
    width, tokens = STORED_DTYPES[dtype][1:], len(flat(documents))
    (folder / f"{name}.metadata").write_text(f"gpt2|{width}\n{tokens}\n{tokens / 1e3:.2f} K")
    return folder / name


def table_of(documents: Documents, dtype: str, kind: str = "list"):
    """A pyarrow table with a text column and the ids."""
    import pyarrow as pa

    inner = getattr(pa, {"i": "int", "u": "uint"}[dtype[0]] + dtype[1:])()
    type_ = {"list": pa.list_, "large_list": pa.large_list}[kind](inner)
    return pa.table({"text": ["x"] * len(documents), "input_ids": pa.array([list(d) for d in documents], type=type_)})


def write_parquet(folder: Path, documents: Documents, dtype: str, name: str = "train.parquet", rows: int = 3) -> Path:
    """Parquet, with small row groups."""
    import pyarrow.parquet as pq

    pq.write_table(table_of(documents, dtype), folder / name, row_group_size=rows)
    return folder / name


def write_arrow_stream(folder: Path, documents: Documents, dtype: str, name: str = "a.arrow", rows: int = 3) -> Path:
    """An Arrow stream, with small record batches."""
    import pyarrow as pa

    table = table_of(documents, dtype)
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return folder / name


def write_arrow_file(folder: Path, documents: Documents, dtype: str, name: str = "a.arrow", rows: int = 3) -> Path:
    """An Arrow file, with large lists and small record batches."""
    import pyarrow as pa

    table = table_of(documents, dtype, "large_list")
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return folder / name


def framed(samples: Sequence[bytes], config: bytes = b"") -> bytes:
    """The frame of MDS and litdata: u32 n, u32 offsets[n + 1], what MDS says of its columns, the samples."""
    starts = np.cumsum([4 * (len(samples) + 2) + len(config), *map(len, samples)]).astype("<u4")
    return struct.pack("<I", len(samples)) + starts.tobytes() + config + b"".join(samples)


def write_mds(folder: Path, documents: Documents, dtype: str, codec: str | None = None) -> Path:
    """MosaicML MDS: a text and an array whose type the encoding states."""
    names = {"u": "uint", "i": "int"}[dtype[0]] + dtype[1:]
    width = int(STORED_DTYPES[dtype][1:])
    samples = []
    for document in documents:
        array = struct.pack("<BI", 1 << 2 | 2, len(document)) + raw([document], dtype)
        samples.append(struct.pack("<II", 1, 5 + width * len(document)) + b"x" + array)
    columns = {"column_names": ["text", "tokens"], "column_encodings": ["str", f"ndarray:{names}"]}
    shard = columns | {"column_sizes": [None, None], "compression": codec, "format": "mds", "version": 2}
    shard |= {"raw_data": {"basename": "shard.00000.mds"}, "zip_data": None, "samples": len(samples)}
    content = framed(samples, json.dumps(columns).encode())
    if codec:
        import pyarrow as pa

        shard["zip_data"] = {"basename": f"shard.00000.mds.{codec}"}
        content = pa.Codec({"gz": "gzip", "br": "brotli"}.get(codec, codec)).compress(content, asbytes=True)
    path = folder / (shard["zip_data"] or shard["raw_data"])["basename"]
    path.write_bytes(content)
    (folder / "index.json").write_text(json.dumps({"shards": [shard], "version": 2}))
    return path


TORCH_CODES = {"u8": 11, "i8": 12, "i16": 14, "i32": 16, "i64": 18, "u16": 20}


def write_litdata(folder: Path, documents: Documents, dtype: str, loader: str = "PyTreeLoader") -> Path:
    """litdata: a tensor without a header a sample, its size before it unless TokensLoader wrote it."""
    sized = loader == "PyTreeLoader"
    values = [raw([document], dtype) for document in documents]
    content = framed([(struct.pack("<I", len(value)) if sized else b"") + value for value in values])
    config = {"compression": None, "data_format": [f"no_header_tensor:{TORCH_CODES[dtype]}"], "item_loader": loader}
    chunk = {"chunk_bytes": len(content), "chunk_size": len(values), "dim": None, "filename": "chunk-0-0.bin"}
    (folder / "chunk-0-0.bin").write_bytes(content)
    (folder / "index.json").write_text(json.dumps({"chunks": [chunk], "config": config}))
    return folder / "chunk-0-0.bin"


def write_packed(folder: Path, documents: Documents, dtype: str, name: str = "shard-00000.bin.zst") -> Path:
    """Headerless ids that zstd, gzip or lz4 packed."""
    import pyarrow as pa

    codec = {".gz": "gzip", ".zst": "zstd", ".lz4": "lz4"}[Path(name).suffix]
    with pa.CompressedOutputStream(pa.OSFile(str(folder / name), "wb"), codec) as stream:
        stream.write(raw(documents, dtype))
    return folder / name


@dataclass(frozen=True)
class Writer:
    """A format: how to write it, the types of ids it can hold, whether it states documents, and --dtype to open it."""

    write: Callable[[Path, Documents, str], Path]
    dtypes: tuple[str, ...]
    documents: bool
    asked: bool = False


_INTEGERS = ("u8", "i8", "u16", "i16", "u32", "i32", "i64", "u64")
WRITERS = {
    "headerless": Writer(write_bare, ("u16", "u32", "i32", "i64"), False, asked=True),
    "llm.c": Writer(write_llmc, tuple(LLMC_MAGICS), False),
    "litpkds": Writer(write_litpkds, tuple(MEGATRON_CODES), False),
    "megatron": Writer(write_megatron, tuple(MEGATRON_CODES), True),
    "npy": Writer(write_npy, _INTEGERS, False),
    "dolma": Writer(write_dolma, ("u16", "u32"), True, asked=True),
    "datatrove": Writer(write_datatrove, ("u16", "u32"), True),
    "mds": Writer(write_mds, _INTEGERS, True),
    "litdata": Writer(write_litdata, tuple(TORCH_CODES), True),
    "packed": Writer(write_packed, ("u16", "u32", "i32", "i64"), False, asked=True),
    "parquet": Writer(write_parquet, _INTEGERS, True),
    "arrow stream": Writer(write_arrow_stream, _INTEGERS, True),
    "arrow file": Writer(write_arrow_file, _INTEGERS, True),
}
