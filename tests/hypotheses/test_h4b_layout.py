"""H4B proposes what the layout scores leave open, and nothing that they exclude."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from diag.checkpoints import LayoutScore, open_checkpoint
from diag.checkpoints.buffer_order import BufferOrder
from diag.demo.defects import EMBEDDING, HEAD, column_major
from diag.demo.tensors import read_tensors, write_tensors
from diag.hypotheses.base import Context, Repair
from diag.hypotheses.h4b_layout import rereads, signature
from diag.model.edits.reorder import Reorder

STORED, COLUMN_MAJOR, UNDO = BufferOrder
NOISE = 0.01
GATES = tuple(f"model.layers.{i}.mlp.gate_proj.weight" for i in range(6))
SQUARES = tuple(f"model.layers.{i}.self_attn.o_proj.weight" for i in range(6))


def score(name: str, order: BufferOrder | None) -> LayoutScore:
    """A score that decides `order`, or nothing."""
    plain = LayoutScore(name, 5 * NOISE, None, False, None, "gate", NOISE, False, None)
    if order is None:
        return replace(plain, as_read=NOISE, other_order=NOISE, other=COLUMN_MAJOR, undecided=True)
    if order is STORED:
        return plain
    return replace(plain, as_read=NOISE, other_order=5 * NOISE, other=order, suspicious=True)


class Scored(Context):
    """The demo's sound checkpoint, with the scores of some matrices replaced."""

    def __init__(self, folder: Path, changed: dict[str, BufferOrder | None]) -> None:
        super().__init__(open_checkpoint(folder))
        names = (self.embedding, *(name for names in self.projections.values() for name in names))
        self.layout = tuple(score(name, changed.get(name, STORED)) for name in names)

    def repairs(self) -> list[Repair]:
        return rereads(self, signature(self))


def edit(repair: Repair) -> Reorder:
    (found,) = repair.edits
    assert isinstance(found, Reorder)
    return found


BOTH = ("read column-major", "undo a column-major read")
PROPOSED = {
    "healthy": [],
    "h4a-random-head": [f"{group}: {words}" for group in ("head", "every matrix") for words in BOTH],
    "h4b-gate-column-major": ["gate: read column-major"],
    "h4c-norm-plus-one": [],
    # A zero matrix resembles nothing in any order.
    "h4d-zero-down-proj": [f"{g}: {words}" for g in ("down", "every projection", "every matrix") for words in BOTH],
    "h4a-h4b-two-defects": [
        *(f"head: {words}" for words in BOTH),
        "up: read column-major",
        *(f"every matrix: {words}" for words in BOTH),
    ],
}


@pytest.mark.parametrize("name", PROPOSED)
def test_what_is_proposed_for_the_demo(name: str, demo: Path) -> None:
    context = Context(open_checkpoint(demo / "checkpoints" / name))
    assert [repair.name for repair in rereads(context, signature(context))] == PROPOSED[name]


def test_the_signature_carries_the_order_of_each_matrix(demo: Path) -> None:
    context = Context(open_checkpoint(demo / "checkpoints" / "h4b-gate-column-major"))
    assert signature(context).orders == dict.fromkeys(GATES, "column_major")


def test_a_head_that_is_the_embedding_in_another_order_is_named_once(healthy: Path, tmp_path: Path) -> None:
    """By its bytes and by its score; it is not one of the other matrices."""
    shutil.copytree(healthy, tmp_path / "head")
    tensors = read_tensors(healthy / "model.safetensors")
    write_tensors(tmp_path / "head" / "model.safetensors", tensors | {HEAD: column_major(tensors[EMBEDDING])})
    context = Context(open_checkpoint(tmp_path / "head"))
    found = signature(context)
    assert found.tensors == (HEAD,) and found.orders == {HEAD: "column_major"}
    assert found.detail == "lm_head.weight holds the embedding's bytes in the other order."
    assert [repair.name for repair in rereads(context, found)] == ["head: read column-major"]


def test_the_order_that_the_scores_name_is_the_one_proposed(healthy: Path) -> None:
    (repair,) = Scored(healthy, dict.fromkeys(GATES, UNDO)).repairs()
    assert repair.name == "gate: undo a column-major read" and edit(repair) == Reorder(GATES, UNDO)


def test_one_matrix_without_a_decision_keeps_both_orders_of_its_groups(healthy: Path) -> None:
    changed = dict.fromkeys(GATES, COLUMN_MAJOR) | {GATES[2]: None}
    names = [repair.name for repair in Scored(healthy, changed).repairs()]
    groups = ("gate", "every projection", "every matrix")
    assert names == [*(f"{g}: {words}" for g in groups for words in BOTH), f"matrices of the signature: {BOTH[0]}"]


def test_part_of_a_group_is_repaired_as_the_matrices_of_the_signature(healthy: Path) -> None:
    (repair,) = Scored(healthy, dict.fromkeys(GATES[:2], COLUMN_MAJOR)).repairs()
    assert repair.name == "matrices of the signature: read column-major" and edit(repair).names == GATES[:2]


def test_two_orders_in_one_signature_are_two_repairs(healthy: Path) -> None:
    changed = dict.fromkeys(GATES[:2], COLUMN_MAJOR) | dict.fromkeys(GATES[2:4], UNDO)
    found = Scored(healthy, changed).repairs()
    assert [edit(r) for r in found] == [Reorder(GATES[:2], COLUMN_MAJOR), Reorder(GATES[2:4], UNDO)]


def test_the_transpose_of_a_square_matrix_goes_with_either_order(healthy: Path) -> None:
    changed = dict.fromkeys(GATES, UNDO) | dict.fromkeys(SQUARES, COLUMN_MAJOR)
    found = {repair.name: edit(repair) for repair in Scored(healthy, changed).repairs()}
    assert found == {
        "o: read column-major": Reorder(SQUARES, COLUMN_MAJOR),
        "gate: undo a column-major read": Reorder(GATES, UNDO),
        "matrices of the signature: undo a column-major read": Reorder((*SQUARES, *GATES), UNDO),
    }


def test_without_scores_every_group_is_tried_in_both_orders(healthy: Path) -> None:
    context = Scored(healthy, {})
    context.layout = ()
    names = [repair.name for repair in context.repairs()]
    assert len(names) == 18 and {name.split(": ")[1] for name in names} == set(BOTH)
    assert [name for name in names if name.startswith(("q", "o"))] == ["q: read column-major", "o: read column-major"]


def test_a_score_decides_only_with_a_clear_lead() -> None:
    sure = score("a", STORED)
    assert sure.decided is STORED and score("a", UNDO).decided is UNDO and score("a", None).decided is None
    close = replace(sure, other_order=4.1 * NOISE, other=UNDO)
    assert close.decided is None and not close.undecided
    assert replace(close, other_order=3.9 * NOISE).decided is STORED
    assert replace(sure, as_read=1.9 * NOISE).decided is None
