"""The catalogue: stable ids, and no way out of the roots."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diag.case import Case, Window
from diag.catalogue import Catalogue, Kind, other_tokenizers, scan, walk
from diag.errors import InputError
from diag.jobs.inputs import open_inputs
from diag.settings import Settings, load_settings
from diag.shards import TokenText, audit_shard, open_shard


def _write(path: Path, data: bytes = b"1234") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _settings(root: Path) -> Settings:
    demo = root.parent / "no-demo"
    return load_settings({"SUBRANDOM_ROOTS": str(root), "SUBRANDOM_DEMO": str(demo)})


def _ids(found: Catalogue, kind: Kind) -> list[str]:
    return [entry.id for entry in found.of(kind)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one of everything."""
    root = tmp_path / "data"
    _write(root / "shards" / "python" / "shard-00000.bin", b"x" * 40)
    _write(root / "shards" / "python" / "shard-00001.bin", b"x" * 4)
    _write(root / "shards" / "named" / "tokens.bin")
    _write(root / "shards" / "named" / "manifest.json", b"{}")
    _write(root / "shards" / "loose" / "shard-val.bin")
    _write(root / "shards" / "loose" / "other.bin")
    _write(root / "checkpoints" / "healthy" / "config.json", b"{}")
    _write(root / "checkpoints" / "healthy" / "model.safetensors")
    _write(root / "checkpoints" / "steps" / "config.json", b"{}")
    _write(root / "checkpoints" / "steps" / "step-1.safetensors")
    _write(root / "checkpoints" / "steps" / "step-2.safetensors")
    _write(root / "checkpoints" / "parts" / "config.json", b"{}")
    _write(root / "checkpoints" / "parts" / "model-00001-of-00002.safetensors")
    _write(root / "checkpoints" / "parts" / "model-00002-of-00002.safetensors")
    _write(root / "checkpoints" / "no-config" / "model.safetensors")
    _write(root / "evidence" / "section-61" / "README.md")
    _write(root / "evidence" / "section-61" / "logs" / "dispatch.txt")
    _write(root / "evidence" / "alone.txt")
    _write(root / "runs" / "epochs" / "epoch-000.metadata.json")
    _write(root / ".hidden" / "shard-00000.bin")
    return root


def test_everything_is_found_once_with_a_readable_id(root: Path) -> None:
    found = scan(_settings(root))
    assert _ids(found, "shard") == ["data/shards/loose/shard-val.bin", "data/shards/named", "data/shards/python"]
    assert _ids(found, "checkpoint") == [
        "data/checkpoints/healthy",
        "data/checkpoints/no-config",
        "data/checkpoints/parts",
        "data/checkpoints/steps/step-1.safetensors",
        "data/checkpoints/steps/step-2.safetensors",
    ]
    assert _ids(found, "evidence") == ["data/evidence/alone.txt", "data/evidence/section-61", "data/runs/epochs"]


CHECKPOINTS = {
    ("a.safetensors", "b.safetensors"): ["a.safetensors", "b.safetensors"],
    ("config.json", "weights.safetensors"): ["."],
    ("config.json", "x.safetensors", "y.safetensors", "model.safetensors.index.json"): ["."],
    ("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"): ["."],
    ("config.json", "model.safetensors", "optimizer.safetensors", "optimizer.bin", "training_args.bin"): ["."],
    ("m-Q4_K.gguf", "m-q8-00001-of-00002.gguf", "m-q8-00002-of-00002.gguf"): [
        "m-Q4_K.gguf", "m-q8-00001-of-00002.gguf"
    ],
    ("step-1.apr", "step-2.apr"): ["step-1.apr", "step-2.apr"],
    ("config.json", "pytorch_model.bin"): ["pytorch_model.bin"],
    ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"): ["."],
    ("config.json", "weights.bin"): ["weights.bin"],
    ("weights.bin",): [],
    ("consolidated.00.pth", "ckpt.pt", "optimizer.pt", "rng_state.pth"): ["ckpt.pt", "consolidated.00.pth"],
    ("model.ckpt", "optimizer.ckpt"): ["model.ckpt"],
    ("config.json", "model.safetensors", "pytorch_model.bin"): [".", "pytorch_model.bin"],
}  # fmt: skip
SHARDS = {
    ("fineweb_train_000001.bin", "fineweb_train_000002.bin"): ["."],
    ("train.bin", "val.bin", "other.bin"): ["train.bin", "val.bin"],
    ("config.json", "train.bin"): ["train.bin"],
    ("corpus_text_document.bin", "corpus_text_document.idx"): ["corpus_text_document.bin"],
    ("config.json", "pile.bin", "pile.idx"): ["pile.bin"],
    ("tokens.npy",): ["tokens.npy"],
    ("part-00-00000.npy", "part-00-00001.npy", "part-00-00000.csv.gz"): ["."],
    ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet"): ["."],
    ("a.parquet", "b.parquet"): ["a.parquet", "b.parquet"],
    ("data-00000-of-00001.arrow", "state.json", "dataset_info.json", "cache-12345.arrow"): ["."],
    ("00000_unshuffled.ds", "00000_unshuffled.ds.index", "00000_unshuffled.ds.metadata"): ["."],
    ("corpus.ds", "corpus.ds.index"): ["corpus.ds"],
    ("pytorch_model.bin",): [],
    ("00000.npy", "00000.parquet"): ["."],
}


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [("checkpoint", names, found) for names, found in CHECKPOINTS.items()]
    + [("shard", names, found) for names, found in SHARDS.items()],
)
def test_every_format_is_told_by_names_and_neighbours(
    tmp_path: Path, kind: Kind, names: tuple[str, ...], expected: list[str]
) -> None:
    for name in names:
        _write(tmp_path / "data" / "x" / name)
    found = sorted(_ids(scan(_settings(tmp_path / "data")), kind))
    assert found == sorted(f"data/x/{name}" if name != "." else "data/x" for name in expected)


def test_a_split_model_counts_all_its_files_and_a_pair_both(tmp_path: Path) -> None:
    for name in ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "text_document.bin", "text_document.idx"):
        _write(tmp_path / "data" / name, b"x" * 100)
    found = scan(_settings(tmp_path / "data"))
    assert [(entry.files, entry.bytes) for entry in found.of("checkpoint")] == [(2, 200)]
    assert [(entry.files, entry.bytes) for entry in found.of("shard")] == [(2, 200)]


def test_a_scan_opens_no_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_ = _settings(root)

    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("a scan opened a file")

    for target in ("builtins.open", "io.open", "pathlib.Path.open"):
        monkeypatch.setattr(target, refuse)
    assert scan(settings_).entries


def test_arrays_do_not_hide_evidence(tmp_path: Path) -> None:
    for name in ("README.md", "figures.npy", "table.parquet"):
        _write(tmp_path / "data" / "evidence" / "step-1" / name)
    assert _ids(scan(_settings(tmp_path / "data")), "evidence") == ["data/evidence/step-1"]


def test_an_entry_says_how_much_there_is(root: Path) -> None:
    entry = scan(_settings(root)).get("shard", "data/shards/python")
    assert (entry.bytes, entry.files, entry.label, entry.group) == (44, 2, "python", "data / shards")
    assert entry.name == entry.id and entry.modified > 1e9


def test_the_demo_is_a_root_and_its_absence_a_note(root: Path) -> None:
    assert "'demo' is not there yet" in scan(_settings(root)).notes[0]
    _write(root.parent / "no-demo" / "checkpoints" / "healthy" / "config.json")
    _write(root.parent / "no-demo" / "checkpoints" / "healthy" / "model.safetensors")
    assert "demo/checkpoints/healthy" in _ids(scan(_settings(root)), "checkpoint")


def test_ids_do_not_depend_on_neighbours_or_on_the_machine(root: Path, tmp_path: Path) -> None:
    before = _ids(scan(_settings(root)), "checkpoint")
    _write(root / "checkpoints" / "aaa" / "config.json")
    _write(root / "checkpoints" / "aaa" / "model.safetensors")
    moved = root.rename(tmp_path / "elsewhere")
    moved = moved.rename(tmp_path / "deeper-data")
    after = [id.replace("deeper-data/", "data/") for id in _ids(scan(_settings(moved)), "checkpoint")]
    assert set(before) < set(after)


def test_odd_names_become_slugs_and_collisions_get_a_hash(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("a b", "a-b", "a\u202eb", "Größe <b>"):
        _write(root / name / "shard-0.bin")
    ids = _ids(scan(_settings(root)), "shard")
    assert "data/a-b" in ids and "data/Gr--e--b-" in ids and len(set(ids)) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", id) for id in ids)
    assert ids == _ids(scan(_settings(root)), "shard")
    assert all(entry.label.isprintable() for entry in scan(_settings(root)).entries)


def test_an_id_resolves_to_its_real_path(root: Path) -> None:
    found = scan(_settings(root))
    assert found.resolve("shard", "data/shards/python") == root / "shards" / "python"
    with pytest.raises(InputError, match="not in the catalogue"):
        found.resolve("checkpoint", "data/shards/python")


@pytest.mark.parametrize("id", ["../../etc/passwd", "/etc/passwd", "", "data/../../etc", "data", "\0", "x" * 10_000])
def test_only_what_was_listed_resolves(root: Path, id: str) -> None:
    with pytest.raises(InputError, match=r"not in the catalogue.*add its folder to the roots"):
        scan(_settings(root)).resolve("checkpoint", id)


def test_a_link_out_of_the_root_is_ignored_and_noted(root: Path, tmp_path: Path) -> None:
    outside = _write(tmp_path / "outside" / "shard-00000.bin").parent
    (root / "escape").symlink_to(outside)
    (root / "shards" / "loose" / "shard-link.bin").symlink_to(outside / "shard-00000.bin")
    found = scan(_settings(root))
    assert len(found.of("shard")) == 3 and any("2 links" in note for note in found.notes)


def test_a_link_inside_the_root_is_followed_once(root: Path) -> None:
    (root / "loop").symlink_to(root)
    (root / "dead").symlink_to(root / "nowhere")
    (root / "self").symlink_to(root / "self")
    assert len(scan(_settings(root)).of("shard")) == 3


def test_a_link_swapped_in_after_the_scan_is_caught(root: Path, tmp_path: Path) -> None:
    found = scan(_settings(root))
    outside = _write(tmp_path / "outside" / "model.safetensors").parent
    weights = root / "checkpoints" / "healthy" / "model.safetensors"
    weights.unlink()
    weights.symlink_to(outside / "model.safetensors")
    with pytest.raises(InputError, match="outside the roots"):
        found.resolve("checkpoint", "data/checkpoints/healthy")
    weights.unlink()
    (root / "checkpoints" / "healthy" / "config.json").unlink()
    (root / "checkpoints" / "healthy").rmdir()
    with pytest.raises(InputError, match="no such file"):
        found.resolve("checkpoint", "data/checkpoints/healthy")
    (root / "checkpoints" / "healthy").symlink_to(outside)
    with pytest.raises(InputError, match="outside the roots"):
        found.resolve("checkpoint", "data/checkpoints/healthy")


def test_an_entry_whose_path_leads_out_is_refused_whatever_its_id(root: Path, tmp_path: Path) -> None:
    found = scan(_settings(root))
    entry = found.of("shard")[0]
    assert found.resolve("shard", entry.id) == entry.path.resolve()
    sibling = _write(tmp_path / "data-2" / "shard-0.bin")
    for path in ("/etc/passwd", root / ".." / "data-2" / "shard-0.bin", sibling, root / "none", "a\0b", tmp_path):
        moved = Catalogue((replace(entry, path=Path(path)),), found.roots)
        with pytest.raises(InputError):
            moved.resolve("shard", entry.id)


def test_depth_entries_and_visits_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    _write(root / "1/2/3/4/5/6" / "shard-0.bin")
    _write(root / "1/2/3/4/5/6/7" / "shard-0.bin")
    assert _ids(scan(_settings(root)), "shard") == ["data/1/2/3/4/5/6"]
    for i in range(9):
        _write(root / f"s{i}" / "shard-0.bin")
    monkeypatch.setattr(walk, "MAX_ENTRIES", 5)
    found = scan(_settings(root))
    assert len(found.entries) == 5 and any("more than 5 entries" in note for note in found.notes)
    monkeypatch.setattr(walk, "MAX_VISITED", 3)
    found = scan(_settings(root))
    assert len(found.entries) <= 3 and any("more than 3 files" in note for note in found.notes)


_NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=20)


@given(st.lists(_NAMES.filter(lambda name: not name.startswith(".")), max_size=6, unique=True))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_name_a_disk_allows_gets_its_own_id(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("roots") / "data"
    root.mkdir()
    for name in names:
        _write(root / name / "shard-0.bin")
    found = scan(_settings(root))
    ids = _ids(found, "shard")
    assert len(set(ids)) == len(names) and all(re.fullmatch(r"[A-Za-z0-9._/-]+", id) for id in ids)
    assert {found.resolve("shard", id).name for id in ids} == set(names)


def _renamed(demo: Path, path: Path, seed: int) -> Path:
    """The demo's tokenizer with its ordinary entries under other ids, beside what a scan takes for a checkpoint."""
    said = json.loads((demo / "checkpoints" / "healthy" / "tokenizer.json").read_text())
    vocab = said["model"]["vocab"]
    fixed = {token["content"] for token in said["added_tokens"]}
    names = [name for name in vocab if name not in fixed]
    order = random.Random(seed).sample([vocab[name] for name in names], len(names))
    vocab.update(zip(names, order, strict=True))
    path.mkdir(parents=True)
    (path / "tokenizer.json").write_text(json.dumps(said))
    (path / "config.json").write_text("{}")
    _write(path / "model.safetensors")
    return path


def test_other_tokenizers_come_once_each_bounded_and_without_the_own(demo: Path, tmp_path: Path) -> None:
    own = TokenText.open(demo / "checkpoints" / "healthy")
    root = tmp_path / "runs"
    for number in range(12):
        _renamed(demo, root / f"run-{number:02d}", seed=number // 2)
    (root / "run-00" / "tokenizer.json").write_text("{}")  # cannot be used
    shutil.copy(own.path, root / "run-03" / "tokenizer.json")
    found = list(other_tokenizers(scan(_settings(root)), own))
    assert [text.path.parent.name for text in found] == ["run-01", "run-02", "run-04", "run-06", "run-08", "run-10"]
    assert next(other_tokenizers(scan(_settings(root)), None)).path.parent.name == "run-01"
    for number in range(12, 20):
        _renamed(demo, root / f"run-{number:02d}", seed=number)
    assert len(list(other_tokenizers(scan(_settings(root)), own))) == 7  # eight were tried, one cannot be used


def test_ids_of_another_tokenizer_are_said_to_be_its(demo: Path, tmp_path: Path) -> None:
    wrong = TokenText.open(_renamed(demo, tmp_path / "runs" / "wrong", seed=1))
    right = tmp_path / "other" / "right"
    right.mkdir(parents=True)
    shutil.copy(demo / "checkpoints" / "healthy" / "tokenizer.json", right)
    _write(right / "model.safetensors")
    others = other_tokenizers(scan(_settings(tmp_path / "other")), wrong)
    audit = audit_shard(open_shard(demo / "shards" / "stdlib"), text=wrong, others=others)
    assert audit.round_trip.verdict == "not_text"
    assert audit.round_trip.fits == "the tokenizer other/right"


def test_the_record_of_a_case_names_the_tokenizer_that_fits_and_no_path(demo: Path, tmp_path: Path) -> None:
    for name in ("right", "wrong"):
        shutil.copytree(demo / "checkpoints" / "healthy", tmp_path / "models" / name)
    shutil.copy(_renamed(demo, tmp_path / "renamed", seed=1) / "tokenizer.json", tmp_path / "models" / "wrong")
    found = scan(_settings(tmp_path / "models"))
    names: dict[str, Path] = {"shard": demo / "shards" / "stdlib", "checkpoint": tmp_path / "models" / "wrong"}
    case = Case("stdlib", "wrong", None, Window(2, 2, 32))
    inputs = open_inputs(case, lambda kind, name: names[kind], partial(other_tokenizers, found))
    assert inputs.data_check.status == "suspect"
    assert "the tokenizer models/right" in inputs.data_check.text and str(tmp_path) not in inputs.data_check.text


def test_no_tokenizer_is_opened_where_the_ids_are_text(demo: Path) -> None:
    def never() -> Iterator[TokenText]:
        raise AssertionError("asked for another tokenizer")
        yield

    text = TokenText.open(demo / "checkpoints" / "healthy")
    assert audit_shard(open_shard(demo / "shards" / "stdlib"), text=text, others=never()).round_trip.share == 1
