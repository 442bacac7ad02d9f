"""Ids that are fed in another way than the model was trained on: the first id left out, labels shifted twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from test_zoo import diagnose

import diag
from diag.case import Case, Window
from diag.checkpoints import open_checkpoint
from diag.jobs import tasks
from diag.jobs.beginning import asks_for, beginning
from diag.jobs.inputs import open_inputs
from diag.model.beginning import losses_behind
from diag.model.build import build
from diag.progress import silent
from diag.results.diagnosis import Diagnosis
from diag.shards.window import read_window
from diag.units import Claim

MODELS = Path(__file__).parent / "models"
GEMMA, LLAMA = MODELS / "gemma3", MODELS / "llama"
COLON, INDENT = 352, 260  # ")\n\n", and the spaces that begin the next line
WINDOW = Window(4, 4, 32)


def with_bos(model: Path, bos: int, folder: Path) -> Path:
    """The model, whose configuration says with which id its texts begin."""
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"bos_token_id": bos}))
    return folder


def cut_behind(shard: Path, first: int, second: int, folder: Path, keep: bool = False) -> Path:
    """A shard whose first 256 sequences are each the ids behind a `first`: what it says of the next id is lost."""
    ids = np.fromfile(shard / "shard-00000.bin", "<u4")[:400_000]
    at = np.flatnonzero((ids[:-2] == first) & (ids[1:-1] == second))[:256]
    rows = np.stack([ids[at + i] for i in range(0 if keep else 1, 3)], axis=1)
    folder.mkdir()
    np.concatenate([rows.ravel(), ids]).tofile(folder / "shard-00000.bin")
    return folder / "shard-00000.bin"


def judged(checkpoint: Path, shard: Path, window: str, reference: Path | None = None) -> Diagnosis:
    return diag.test(checkpoint, shard, window=window, reference=reference, device="cpu").diagnosis


def test_a_loss_that_the_missing_first_id_explains_is_no_defect_of_the_checkpoint(shard: Path, tmp_path: Path) -> None:
    model = with_bos(GEMMA, COLON, tmp_path / "gemma")
    found = judged(model, cut_behind(shard, COLON, INDENT, tmp_path / "cut"), "16x16x1")
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses == ("H0",), found.conclusion.text
    assert "id 352, which its family puts in front" in found.conclusion.text
    h0, *others = found.findings
    assert h0.id == "H0" and h0.status == "present" and "n = 256 sequences" in h0.reason
    assert {f.status for f in others} == {"inconclusive"} and found.joint is None
    assert found.forward_passes == 2 * 256  # as loaded, and with the id in front


def test_a_twin_that_lacks_it_as_well_vouches_for_nothing(shard: Path, tmp_path: Path) -> None:
    model = with_bos(GEMMA, COLON, tmp_path / "gemma")
    found = judged(model, cut_behind(shard, COLON, INDENT, tmp_path / "cut"), "16x16x1", reference=GEMMA)
    assert found.reference is not None and not found.reference.vouches  # it is above the bigram, for the same reason
    assert found.findings[0].status == "present" and found.conclusion.hypotheses == ("H0",)


def test_where_it_explains_a_part_it_is_named_beside_the_rest(shard: Path, tmp_path: Path) -> None:
    """The same on 64 sequences: too few to say that the loss with the id in front lies below the border."""
    model = with_bos(GEMMA, COLON, tmp_path / "gemma")
    found = judged(model, cut_behind(shard, COLON, INDENT, tmp_path / "cut"), "4x16x1")
    assert found.conclusion.kind == "suspect" and "H0" in found.conclusion.hypotheses
    assert found.data is not None and found.data.status == "suspect" and found.findings[0].status == "present"
    assert not {f.status for f in found.findings} & {"confirmed", "contributing"}


def test_sequences_that_begin_with_it_cost_no_pass(shard: Path, tmp_path: Path) -> None:
    model = with_bos(GEMMA, COLON, tmp_path / "gemma")
    whole = cut_behind(shard, COLON, INDENT, tmp_path / "whole", keep=True)
    case = Case(str(whole), str(model), None, Window(16, 16, 2), device="cpu")
    inputs = open_inputs(case, lambda kind, name: Path(name))
    loaded = tasks.read(inputs, silent, lens=False)
    assert loaded.model is not None and loaded.baseline.measurement is not None
    assert beginning(inputs, loaded.model, loaded.baseline.measurement) is None


def test_a_sound_model_that_asks_for_a_first_id_and_needs_none_is_left_alone(shard: Path, tmp_path: Path) -> None:
    found = diagnose(with_bos(GEMMA, 0, tmp_path / "gemma"), shard, None, WINDOW)
    assert found.findings[0].status == "refuted" and found.conclusion.kind == "no_defect_found"


def test_the_same_targets_are_compared(shard: Path) -> None:
    """With the id in front each target is predicted from the same ids and one more: by hand, from logits."""
    checkpoint = open_checkpoint(LLAMA)
    loaded = build(checkpoint, device="cpu", dtype="fp32")
    ids = np.arange(40, 75, dtype=np.int64).reshape(5, 7)
    found = losses_behind(loaded, ids, 3)
    with torch.inference_mode():
        inputs = torch.tensor(np.insert(ids[:, :-1], 0, 3, axis=1))
        logits = loaded.module(input_ids=inputs, use_cache=False).logits[:, 1:]
        by_hand = torch.nn.functional.cross_entropy(logits.transpose(1, 2), torch.tensor(ids[:, 1:]), reduction="none")
    assert found is not None and found == pytest.approx(by_hand.mean(-1).numpy(), abs=1e-5)
    longest = np.zeros((1, (loaded.positions or 0) + 1), dtype=np.int64)
    assert losses_behind(loaded, longest, 3) is None


def test_who_says_that_texts_begin_with_an_id(tmp_path: Path) -> None:
    assert [asks_for(open_checkpoint(folder)) for folder in sorted(MODELS.iterdir()) if folder.is_dir()] == [None] * 9
    assert asks_for(open_checkpoint(with_bos(LLAMA, 7, tmp_path / "llama"))) is None  # a BOS exists; nobody puts it
    assert asks_for(open_checkpoint(with_bos(GEMMA, 7, tmp_path / "gemma"))) == (7, "its family puts")
    (tmp_path / "llama" / "tokenizer_config.json").write_text('{"add_bos_token": true}')
    assert asks_for(open_checkpoint(tmp_path / "llama")) == (7, "tokenizer_config.json puts")
    path = tmp_path / "llama" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    token = next(iter(tokenizer["added_tokens"]))
    pieces = [{"SpecialToken": {"id": token["content"], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {token["content"]: {"id": token["content"], "ids": [token["id"]], "tokens": [token["content"]]}}
    template = {"type": "TemplateProcessing", "single": pieces, "pair": pieces, "special_tokens": special}
    path.write_text(json.dumps(tokenizer | {"post_processor": template}))
    assert asks_for(open_checkpoint(tmp_path / "llama")) == (token["id"], "its tokenizer puts")


def test_a_claim_whose_labels_were_shifted_twice_is_the_programs_fault(shard: Path) -> None:
    checkpoint = open_checkpoint(LLAMA)
    case = Case(str(shard), str(LLAMA), None, WINDOW, device="cpu")
    ids = read_window(open_inputs(case, lambda kind, name: Path(name)).shard, WINDOW).ids
    rows = torch.tensor(ids[:, :-1])
    with torch.inference_mode():  # as a trainer does that shifts, and hands labels to a model that shifts again
        labels = torch.tensor(ids[:, 1:])
        claimed = float(build(checkpoint, device="cpu", dtype="fp32").module(input_ids=rows, labels=labels).loss)
    found = diag.test(LLAMA, shard, window="4x4x32", device="cpu", claim=Claim(claimed)).diagnosis
    assert found.conclusion.kind == "runtime" and "its labels were shifted twice" in found.conclusion.text
    other = diag.test(LLAMA, shard, window="4x4x32", device="cpu", claim=Claim(claimed + 3)).diagnosis
    assert other.conclusion.kind == "runtime" and "shifted" not in other.conclusion.text
