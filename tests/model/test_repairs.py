"""Repaired checkpoints: on disk they have the loss of the edits, whole or not at all, and a patch does it again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import SHAPE, write_tiny

from diag.case import Case, Window
from diag.checkpoints import open_checkpoint
from diag.checkpoints.buffer_order import BufferOrder
from diag.errors import InputError
from diag.evidence.records import Record
from diag.hypotheses.as_code import code
from diag.hypotheses.base import Context
from diag.jobs import repair as jobs
from diag.jobs import tasks
from diag.jobs.inputs import Inputs, join_inputs
from diag.model.build import build
from diag.model.edits import (
    ApplyScale,
    Copy,
    FromReference,
    MoveLayers,
    PairRows,
    Regather,
    Reorder,
    Retag,
    Scale,
    SetEps,
    Shift,
    SuggestConfig,
)
from diag.model.edits.as_data import from_data, to_data
from diag.model.edits.base import Edit
from diag.model.evaluate import Evaluator
from diag.model.stored import CheckpointTensors
from diag.progress import silent
from diag.repairs.folder import whole_folder
from diag.repairs.patch import read_patch
from diag.repairs.safetensors_out import SafetensorsOut
from diag.repairs.tensors import Repaired
from diag.repairs.write import write_repaired
from diag.results.diagnosis import Conclusion, Diagnosis, Joint, JointRepair
from diag.shards import open_shard
from diag.zoo.gguf_file import write_gguf
from diag.zoo.model import Change as ZooChange
from diag.zoo.model import open_model

Q, GATE = (tuple(f"model.layers.{i}.{part}_proj.weight" for i in range(3)) for part in ("self_attn.q", "mlp.gate"))
NORM, EMBEDDING, HEAD = "model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"
EDITS: tuple[Edit, ...] = (
    Reorder(Q, BufferOrder.COLUMN_MAJOR),
    Regather(((GATE[0], GATE[0].replace("gate", "up")),), (96, 96), (1, 0)),
    Scale((GATE[1],), 0.3),
    Shift((NORM,), -1.0),
    FromReference((GATE[2],)),
    Copy(HEAD, EMBEDDING),
    SetEps(1e-3),
    SuggestConfig("rotary", '{"rope_theta": 500.0}'),
)


def in_bf16(folder: Path) -> None:
    """The weights as a bfloat16 checkpoint has them."""
    file = folder / "model.safetensors"
    save_file({n: t.to(torch.bfloat16) for n, t in load_file(file).items()}, file, {"format": "pt"})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny models in bfloat16, and a shard."""
    made = tmp_path_factory.mktemp("repairs")
    for name, seed in (("broken", 1), ("sound", 2)):
        write_tiny("qwen2-tied", made / name, seed)
        in_bf16(made / name)
    ids = np.random.default_rng(0).integers(0, SHAPE["vocab_size"], 4000)
    ids.astype("<u2").tofile(made / "shard.bin")
    return made


def opened(place: Path, checkpoint: str = "broken") -> Inputs:
    case = Case("shard.bin", checkpoint, "sound", Window(1, 2, 16), device="cpu")
    folders = (open_checkpoint(place / checkpoint), open_checkpoint(place / "sound"))
    return join_inputs(case, open_shard(place / "shard.bin"), *folders)


def recorded(inputs: Inputs, edits: tuple[Edit, ...]) -> Record:
    """A record whose joint repair is these edits."""
    baseline = tasks.read(inputs, silent, lens=False).baseline
    joint = Joint((JointRepair("H4X", "all"),), 0.0, None, {}, edits=tuple(to_data(edit) for edit in edits))
    return tasks.record(inputs, Diagnosis(baseline, (), joint, Conclusion("explained", ("H4X",), "")))


@pytest.fixture(scope="module")
def written(place: Path) -> jobs.RepairWritten:
    inputs = opened(place)
    return jobs.repair(recorded(inputs, EDITS), inputs, place / "fixed", silent)


def test_from_disk_it_has_the_loss_of_the_edits(place: Path, written: jobs.RepairWritten) -> None:
    inputs = opened(place)
    reference = CheckpointTensors(open_checkpoint(place / "sound"))
    evaluator = Evaluator(build(inputs.checkpoint, device="cpu", dtype="fp32"), inputs.window.ids, reference=reference)
    expected = float(evaluator.losses(sorted(EDITS, key=lambda edit: edit.order)).mean())
    assert written.baseline.loss.nats == pytest.approx(expected, abs=1e-5)
    assert written.baseline.loss.nats != pytest.approx(float(evaluator.losses().mean()), abs=1e-2)


def test_transformers_reads_the_same_loss(place: Path, written: jobs.RepairWritten) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(written.path, dtype=torch.float32).eval()
    ids = torch.from_numpy(opened(place).window.ids.astype("int64"))
    with torch.inference_mode():
        logits = model(ids[:, :-1]).logits
    nats = float(torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:]))
    assert nats == pytest.approx(written.baseline.loss.nats, abs=1e-5)


def test_what_moves_stays_in_its_type_and_what_is_computed_is_exact(written: jobs.RepairWritten) -> None:
    with safe_open(written.path / "model.safetensors", "pt") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  its own method
    assert (kinds[Q[0]], kinds[GATE[0]], kinds[EMBEDDING], kinds[HEAD]) == ("BF16",) * 4
    # × 0.3 is no bfloat16 any more; 1 taken from what lies near 1 is one.
    assert (kinds[GATE[1]], kinds[NORM]) == ("F32", "BF16")
    config = json.loads((written.path / "config.json").read_text())
    assert (config["rms_norm_eps"], config["rope_theta"]) == (1e-3, 500.0)
    assert ("config", "rms_norm_eps") in {(each.kind, each.name) for each in written.changes}


def test_a_patch_does_it_again_on_a_copy_and_on_no_other_file(place: Path, written: jobs.RepairWritten) -> None:
    patch, edits = read_patch(written.path)
    copy, sound = open_checkpoint(place / "broken"), open_checkpoint(place / "sound")
    path, changes = jobs.apply(patch, edits, copy, sound, out=place / "again", progress=silent)
    assert open_checkpoint(path).fingerprint == open_checkpoint(written.path).fingerprint == patch.repaired
    assert changes == written.changes
    with pytest.raises(InputError, match="not the checkpoint that the patch was made for"):
        jobs.apply(patch, edits, sound, sound, out=place / "never", progress=silent)
    with pytest.raises(InputError, match="not the reference"):
        jobs.apply(patch, edits, copy, copy, out=place / "never", progress=silent)
    other = replace(patch, repaired="0" * 64)
    with pytest.raises(InputError, match="not the checkpoint that the patch promises"):
        jobs.apply(other, edits, copy, sound, out=place / "never", progress=silent)
    assert not [*place.glob("never*"), *place.glob(".never*")]


def test_a_record_of_other_files_is_refused(place: Path) -> None:
    record = recorded(opened(place), (Copy(HEAD, EMBEDDING),))
    with pytest.raises(InputError, match=f"not the checkpoint of record {record.id}"):
        jobs.repair(record, opened(place, "sound"), place / "never", silent)


def test_a_failure_leaves_nothing_and_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "new", 0) as folder:
        (folder / "half").write_text("x")
        raise ZeroDivisionError
    (left := tmp_path / ".new.partial-99999999").mkdir()  # of a process that is gone
    with whole_folder(tmp_path / "new", 0) as folder:
        (folder / "whole").write_text("x")
    assert not left.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new"]
    with pytest.raises(InputError, match="There is something already"), whole_folder(tmp_path / "new", 0):
        pass
    with pytest.raises(InputError, match="are free"), whole_folder(tmp_path / "other", 1 << 60):
        pass


def test_shards_have_an_index_that_transformers_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diag.repairs.safetensors_out.SHARD_BYTES", 100)
    values = {f"t{i}": np.arange(i, i + 20, dtype="<f4") for i in range(4)}
    out = SafetensorsOut(tmp_path, {name: v.shape for name, v in values.items()}, ["t1"])
    for name, v in values.items():
        out.add(name, "F32", v.shape, [v.view(np.uint8)])
    files = out.close()
    assert [file.name for file in files[:2]] == ["model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors"]
    index = json.loads(files[-1].read_text())
    assert index["metadata"]["total_size"] == 320
    for name, file in index["weight_map"].items():
        assert (load_file(tmp_path / file)[name].numpy() == values[name]).all()
    assert list(out.digests) == ["t1"]


def test_a_gguf_file_stays_one_where_its_header_alone_changes(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path / "hf")
    model = open_model(tmp_path / "hf")
    broken = open_checkpoint(
        write_gguf(model.changed(ZooChange(config={"rms_norm_eps": 0.5, "rope_theta": 1e4})), tmp_path / "b", "Q8_0")
    )
    edits: tuple[Edit, ...] = (SetEps(1e-5), SuggestConfig("rotary", '{"rope_theta": 500.0}'))
    (tmp_path / "header").mkdir()
    written = write_repaired(broken, edits, None, tmp_path / "header", silent)
    again = open_checkpoint(written.path)
    assert (written.path.name, again.config.rms_norm_eps, again.config.rope_theta) == ("model.gguf", 1e-5, 500.0)
    assert all((again.raw(name) == broken.raw(name)).all() for name in broken.tensors)
    (tmp_path / "tensors").mkdir()
    written = write_repaired(broken, (*edits, Shift((NORM,), 1.0)), None, tmp_path / "tensors", silent)
    again = open_checkpoint(written.path)
    assert (again.format, again.config.rms_norm_eps, again.config.num_kv_heads) == ("safetensors", 1e-5, 2)
    assert (again.float32(Q[0]) == broken.float32(Q[0])).all()
    assert (again.float32(NORM) == broken.float32(NORM) + 1).all()


def test_every_edit_of_a_repair_is_data_and_back() -> None:
    more: tuple[Edit, ...] = (
        *(ApplyScale(Q), Retag(Q, "F16"), PairRows(Q, (0, 16), 16, "halves"), MoveLayers(((Q[0], Q[1]), (Q[1], Q[0])))),
    )
    for edit in (*EDITS, *more):
        assert from_data(json.loads(json.dumps(to_data(edit))), "here") == edit
    for wrong in ({"kind": "Nothing"}, {"kind": "Copy", "target": "a", "source": "b", "more": 1}, {"kind": "Reorder"}):
        with pytest.raises(InputError):
            from_data(wrong, "here")


ALONE: tuple[Edit, ...] = (
    *EDITS[:6],
    Reorder(GATE, BufferOrder.UNDO_COLUMN_MAJOR),
    Retag((*Q, NORM), "F16"),
    Retag((NORM,), "big-endian BF16"),
    PairRows(Q, (0, 16, 32, 48), 16, "halves"),
    PairRows((Q[1],), (16,), 8, "adjacent"),
    MoveLayers(tuple((a, b) for names in (Q, GATE) for a, b in ((names[0], names[2]), (names[2], names[0])))),
    MoveLayers(((Q[0], Q[1]), (GATE[1], GATE[0]))),
    Regather(tuple((g, g.replace("gate", "up")) for g in GATE), (48,) * 4, (0, 2, 1, 3)),
    FromReference((HEAD, NORM)),
)


@pytest.mark.parametrize("edit", ALONE, ids=lambda edit: type(edit).__name__)
def test_the_lines_of_code_that_are_shown_do_what_the_edit_does(edit: Edit, place: Path) -> None:
    ours, theirs = open_checkpoint(place / "broken"), open_checkpoint(place / "sound")
    state, reference = (load_file(place / name / "model.safetensors") for name in ("broken", "sound"))
    before = {name: values.clone() for name, values in state.items()}
    exec(code(edit, Context(ours, theirs)), {"torch": torch, "state": state, "reference": reference})
    repaired = Repaired(ours, (edit,), theirs)
    assert set(state) - set(before) <= set(edit.targets)
    for name, values in state.items():
        expected = repaired.tensor(name) if name in edit.targets else before[name]
        assert torch.equal(values.float().nan_to_num(), expected.float().nan_to_num()), name
    assert any(name not in before or not torch.equal(state[name], before[name]) for name in edit.targets)
