"""A folder counted in seven parts and merged says what one run says, to the byte; and no other seven files do."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_cli_contract import ROOT, here

from diag.shards.counting.part_files import HEADER

sys.path.insert(0, str(Path(__file__).parents[1] / "shards"))
from token_files import WRITERS

PARTS = 7
# How the files of a folder are called in each format; those that write one file a folder have none.
NAMES = {
    "headerless": "shard-{:05}.bin",
    "llm.c": "fineweb_train_{:06}.bin",
    "litpkds": "train_{:010}.bin",
    "megatron": "corpus_{:02}.bin",
    "npy": "ids-{:02}.npy",
    "dolma": "part-0-{:05}.npy",
    "datatrove": "{:05}_tokens.ds",
    "packed": "shard-{:05}.bin.zst",
    "parquet": "train-{:05}.parquet",
    "arrow stream": "data-{:05}.arrow",
    "mds": None,
    "litdata": None,
}


def documents(seed: int) -> list[list[int]]:
    """About 2,000 ids below 200, most of them small; each document ends with 0. Files 3 and 5 are equal."""
    made = np.random.default_rng(3 if seed == 5 else seed)
    return [[*(made.zipf(1.3, size) % 199 + 1).tolist(), 0] for size in made.integers(5, 80, 50)]


def corpus(folder: Path, name: str, files: int = 9) -> Path:
    """A folder of a format: more files than parts, or the one that its writer knows."""
    folder.mkdir()
    writer, pattern = WRITERS[name], NAMES[name]
    dtype = "u32" if "u32" in writer.dtypes else "i32"
    for number in range(files if pattern else 1):
        named = (pattern.format(number),) if pattern else ()
        writer.write(folder, documents(number), dtype, *named)
    return folder


def said(*args: object) -> str:
    """The JSON of one command, but for the time it took."""
    code, out, err = here("shard", *args, "--json")
    assert code == 0, err
    return re.sub(r'"seconds": [0-9.e-]+', '"seconds": 0', out)


def refused(*args: object) -> str:
    code, out, err = here("shard", *args)
    assert code == 2 and not out and err.count("\n") == 1
    return err


def counted(folder: Path, to: Path, *options: object, of: int = PARTS) -> list[Path]:
    """All parts of a folder, the last one first: their order does not matter."""
    outs = [to / f"{folder.name}-{number}.zip" for number in range(of, 0, -1)]
    for number, out in zip(range(of, 0, -1), outs, strict=True):
        said(folder, *options, "--part", f"{number}/{of}", "--out", out, "--no-cache")
    return outs


@pytest.mark.parametrize("name", NAMES)
def test_seven_parts_merged_are_one_run_to_the_byte(name: str, tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", name)
    options = ("--dtype", "u32") if WRITERS[name].asked else ()
    rest = ("--vocab-size", 200, "--gate-below", 3.0)
    whole = said(folder, *options, "--no-cache", "--batches", 2, "--seq-len", 64, *rest)
    parts = counted(folder, tmp_path, *options, *rest[:2])
    merged = said(*parts, "--merge", "--no-cache", "--batches", 2, "--seq-len", 64, *rest[2:])
    assert merged == whole and json.loads(whole)["tokens"] > 1_000
    if NAMES[name]:
        assert [p["same_as"] is not None for p in json.loads(merged)["parts"]] == [n == 5 for n in range(9)]


def test_a_file_that_no_part_can_read_is_listed_as_one_run_lists_it(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", "packed")
    broken = folder / "shard-00004.bin.zst"
    broken.write_bytes(broken.read_bytes()[:-9])
    options = ("--dtype", "u32", "--no-cache")
    assert said(*counted(folder, tmp_path, "--dtype", "u32"), "--merge") == said(folder, *options)


def test_a_missing_a_doubled_and_a_foreign_part_are_refused_by_name(tmp_path: Path) -> None:
    folder, other = corpus(tmp_path / "corpus", "npy"), corpus(tmp_path / "other", "npy")
    parts = counted(folder, tmp_path, "--vocab-size", 200)
    assert "Of 7 parts, 1 are missing: 5." in refused(*parts[:2], *parts[3:], "--merge")
    again = tmp_path / "again.zip"
    again.write_bytes(parts[0].read_bytes())
    assert "Part 7 of 7 is there twice: corpus-7.zip and again.zip" in refused(*parts, again, "--merge")
    assert "is there twice" in refused(*parts, parts[0], "--merge")
    foreign = counted(other, tmp_path, "--vocab-size", 200)
    assert "other-1.zip: This is no part to merge" in refused(*parts[:-1], foreign[-1], "--merge")
    larger = tmp_path / "larger.zip"
    said(folder, "--vocab-size", 300, "--part", "1/7", "--out", larger)
    assert "larger.zip" in (why := refused(*parts[:-1], larger, "--merge")) and "vocabulary" in why
    (tmp_path / "one").mkdir()
    single = counted(folder, tmp_path / "one", "--vocab-size", 200, of=1)
    assert "another number of parts" in refused(*parts[:-1], *single, "--merge")
    assert "was not written by --part" in refused(*parts[:-1], folder / "ids-00.npy", "--merge")


def test_a_file_that_changed_since_is_named(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", "npy")
    parts = counted(folder, tmp_path)
    WRITERS["npy"].write(folder, documents(99)[:1], "u32", "ids-03.npy")
    assert "the files of corpus are other ones now" in refused(*parts, "--merge")
    ids = np.load(folder / "ids-04.npy")
    WRITERS["npy"].write(folder, documents(3), "u32", "ids-03.npy")
    np.save(folder / "ids-04.npy", ids[::-1])
    why = refused(*parts, "--merge")
    assert "ids-03.npy has changed since it was counted" in why and "corpus-4.zip" in why


def test_a_damaged_part_is_named_and_sizes_no_memory(tmp_path: Path) -> None:
    """A bit in a summary; a summary that unpacks to 1 GB; a header with a number that is none; a later layout."""
    folder = corpus(tmp_path / "corpus", "npy")
    *rest, last = counted(folder, tmp_path)
    sound = last.read_bytes()
    at = sound.index(b"digests.npy") + 300
    last.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    assert "corpus-1.zip" in (why := refused(*rest, last, "--merge")) and "0.npz in it is damaged" in why
    with zipfile.ZipFile(io.BytesIO(sound)) as whole:
        header, inside = json.loads(whole.read(HEADER)), whole.read("7.npz")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("counts.npy", bytes(1 << 30))
    for changed, summary, says in (
        (header, bomb.getvalue(), "0.npz in it is damaged"),
        (header | {"part": "one"}, inside, "its header is damaged"),
        (header | {"part": 9}, inside, "its header is damaged"),
        (header | {"layout": 99}, inside, "another version"),
    ):
        with zipfile.ZipFile(last, "w") as file:
            file.writestr(HEADER, json.dumps(changed))
            file.writestr("0.npz", summary)
            file.writestr("7.npz", inside)
        assert says in refused(*rest, last, "--merge")


@pytest.mark.parametrize("part", ["0/7", "8/7", "3", "a/b", "1/0", "-1/7", "1/99999999"])
def test_a_part_that_is_none_is_refused(part: str, tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", "npy", files=2)
    assert "part is" in refused(folder, f"--part={part}", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_options_that_contradict_are_refused(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", "npy", files=2)
    out = tmp_path / "one.zip"
    said(folder, "--part", "1/1", "--out", out)
    assert "--out belong together" in refused(folder, "--part", "1/2")
    assert "--merge does not go with" in refused(out, "--merge", "--part", "1/2", "--out", out)
    assert "--vocab-size does not go with --merge" in refused(out, "--merge", "--vocab-size", 9)
    assert "2 paths are named" in refused(folder, out)
    assert "cannot be written" in refused(folder, "--part", "1/1", "--out", tmp_path / "no" / "folder.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus", "one.zip"]


def test_the_script_of_the_documentation_counts_what_one_run_counts(tmp_path: Path, demo: Path) -> None:
    """As Slurm runs it: bash, with the number of the task and the count of them in the environment."""
    page = (ROOT / "docs" / "scale.md").read_text()
    script = page.partition("```bash\n")[2].partition("```")[0]
    tasks = int(script.partition("--array=1-")[2].split()[0])
    folder, commands = corpus(tmp_path / "corpus", "npy"), tmp_path / "bin"
    commands.mkdir()
    (commands / "subrandom").write_text(f'#!/bin/sh\nexec {sys.executable} -m diag "$@"\n')
    (commands / "subrandom").chmod(0o755)
    tokenizer = demo / "checkpoints" / "healthy"
    given = {"CORPUS": str(folder), "TOKENIZER": str(tokenizer), "PARTS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    given |= {"PATH": f"{commands}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_COUNT": str(tasks)}
    for task in range(1, tasks + 1):
        env = os.environ | given | {"SLURM_ARRAY_TASK_ID": str(task)}
        subprocess.run(["bash", "-c", script], env=env, check=True, capture_output=True, timeout=120)
    merged = said(*tmp_path.glob("part-*.zip"), "--merge", "--gate-below", 9.38)
    assert merged == said(folder, "--tokenizer", tokenizer, "--gate-below", 9.38, "--no-cache")
