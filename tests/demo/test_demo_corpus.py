import json
from pathlib import Path

import numpy as np
import pytest

from diag.demo import build as demo
from diag.demo import corpus

SEP, UNK = 1, 0
MANIFEST_KEYS = {
    "schema", "tokenizer_dir", "vocab_size", "eos_policy", "eos_token_id", "eos_token_count", "shard_count",
    "total_tokens", "total_documents", "content_field", "normalization", "input_format", "input_files",
    "elapsed_seconds",
}  # fmt: skip


def documents(*lengths: int) -> list[np.ndarray]:
    return [np.full(length, 10 + index, dtype="<u4") for index, length in enumerate(lengths)]


def read(directory: Path) -> list[np.ndarray]:
    return [np.fromfile(path, dtype="<u4") for path in sorted(directory.glob("shard-*.bin"))]


def test_separators_stand_between_documents_also_across_a_rotation():
    shards = corpus.pack_shards(documents(3, 2, 1), SEP, nominal=4)
    assert [shard.tolist() for shard in shards] == [[10, 10, 10, SEP], [11, 11, SEP, 12]]


def test_a_shard_rotates_after_the_document_that_fills_it():
    shards = corpus.pack_shards(documents(2, 5, 3, 3), SEP, nominal=4)
    assert [len(shard) for shard in shards] == [9, 4, 3]


def test_a_corpus_below_the_nominal_size_still_makes_two_shards():
    assert len(corpus.pack_shards(documents(5, 5, 5), SEP)) == 2


def test_the_broken_twin_keeps_lengths_and_separators():
    shards = corpus.pack_shards(documents(6, 7, 8), SEP, nominal=10)
    broken = corpus.break_shards(shards, SEP, UNK, unk_share=0.5)
    assert [len(b) for b in broken] == [len(s) for s in shards]
    for whole, lost in zip(shards, broken, strict=True):
        assert np.array_equal(lost == SEP, whole == SEP)
        assert set(lost.tolist()) <= {UNK, SEP}


def test_the_broken_twin_thins_separators_that_are_too_many():
    shards = corpus.pack_shards(documents(*[9] * 1000), SEP, nominal=5000)
    lost = np.concatenate(corpus.break_shards(shards, SEP, UNK, unk_share=0.999))
    assert np.count_nonzero(lost == SEP) == 10
    assert np.all(np.concatenate(shards)[lost == SEP] == SEP)


def test_files_that_are_not_ordinary_code_are_skipped(tmp_path: Path):
    for name in ("a.py", "p/b.py", "test/c.py", "p/tests/d.py", "site-packages/e.py", "idlelib/f.py", "g.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    assert sorted(corpus.stdlib_files(tmp_path)) == ["a.py", "p/b.py"]


def test_files_that_are_not_utf8_are_left_out(tmp_path: Path):
    (tmp_path / "a.py").write_bytes(b"x = '\xe9'\n")
    (tmp_path / "b.py").write_text("x = 1\n")
    (tmp_path / "c.py").write_text("y = 1\r\n", newline="")
    assert corpus.write_documents(tmp_path, tmp_path / "out") == 2
    assert sorted(corpus.read_documents(tmp_path / "out")) == ["x = 1\n", "y = 1\r\n"]


def test_a_machine_without_library_source_is_told_so(tmp_path: Path):
    with pytest.raises(corpus.CorpusError, match="no Python source"):
        corpus.write_documents(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["healthy", "broken"])
def test_the_manifest_is_complete_and_adds_up(built: demo.Demo, kind: str):
    folder = built.shards[kind]
    manifest = json.loads((folder / "manifest.json").read_text())
    shards = read(folder)
    assert set(manifest) == MANIFEST_KEYS
    assert manifest["schema"] == "pretokenize-bin-v1"
    assert manifest["shard_count"] == len(shards) >= 2
    assert sum(p.stat().st_size for p in folder.glob("*.bin")) == 4 * manifest["total_tokens"]
    ids = np.concatenate(shards)
    assert ids.max() < manifest["vocab_size"]
    assert np.count_nonzero(ids == manifest["eos_token_id"]) == manifest["eos_token_count"]
    assert Path(manifest["tokenizer_dir"], "tokenizer.json").is_file()
    assert Path(manifest["input_files"][0]).is_file()


def test_every_document_decodes_to_its_source(built: demo.Demo):
    tokenizer = corpus.load_tokenizer(demo.MODEL_DIR)
    shard = read(built.shards["healthy"])[0]
    ends = np.flatnonzero(shard == tokenizer.token_to_id(corpus.SEPARATOR))[:5]
    texts = corpus.read_documents(built.dir / corpus.DOCUMENTS_FILE)
    start = 0
    for end, text in zip(ends, texts, strict=False):
        assert tokenizer.decode(shard[start:end].tolist(), skip_special_tokens=False) == text
        start = end + 1


def test_separators_are_one_fewer_than_documents(built: demo.Demo):
    manifest = json.loads((built.shards["healthy"] / "manifest.json").read_text())
    assert manifest["eos_token_count"] == manifest["total_documents"] - 1


def test_the_broken_corpus_is_almost_only_unk(built: demo.Demo):
    tokenizer = corpus.load_tokenizer(demo.MODEL_DIR)
    ids = np.concatenate(read(built.shards["broken"]))
    assert len(np.unique(ids)) == 2
    share = np.count_nonzero(ids == tokenizer.token_to_id("<unk>")) / len(ids)
    assert 0.99985 < share < 0.99995


def test_special_strings_in_a_text_are_ordinary_text():
    tokenizer = corpus.load_tokenizer(demo.MODEL_DIR)
    text = 'SEP = "<|endoftext|>"  # or <unk>\n'
    ids = corpus.encode(tokenizer, [text])[0]
    assert ids.min() > 1
    assert tokenizer.decode(ids.tolist()) == text
