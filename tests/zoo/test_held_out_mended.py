"""What a run of the zoo on unseen seeds got wrong, each kind of it planted anew in other models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from siblings import first
from test_zoo import diagnose

import diag
from diag.case import Window
from diag.checkpoints import compare_checkpoints, open_checkpoint
from diag.checkpoints.compare.groups import differences
from diag.checkpoints.compare.kinds import relationship
from diag.checkpoints.signatures.rows import row_alignment
from diag.hypotheses import h4c_norm
from diag.hypotheses.base import Context
from diag.hypotheses.differences import claimed_by
from diag.results.thresholds import ROWS_FOUND
from diag.zoo.defects import DEFECTS
from diag.zoo.model import Change, Model, open_model, write_model
from diag.zoo.shards import text_shard

MODELS = Path(__file__).parent / "models"
WINDOW = Window(4, 4, 32)
FAMILIES = sorted(folder.name for folder in MODELS.iterdir() if folder.is_dir())


def planted(name: str, family: str, folder: Path) -> Path:
    """The zoo's defect of this name in a model."""
    model = open_model(MODELS / family)
    change = next(d for d in DEFECTS if d.name == name).plant(np.random.default_rng(0), model)
    assert change is not None
    return write_model(model.changed(change), folder)


def trained_on(model: Model, names: tuple[str, ...], by: float = 0.03) -> Change:
    """These tensors as a little training leaves them: 3 % of each one's size, at random."""
    rng = np.random.default_rng(0)
    moved = {n: (w := model.tensors[n]) + np.float32(by * w.std()) * rng.standard_normal(w.shape) for n in names}
    return Change({name: w.astype(np.float32) for name, w in moved.items()})


@pytest.mark.parametrize("family", first(["gpt2", "mistral"]))
def test_a_wrong_tag_is_one_also_where_training_came_between(family: str, shard: Path, tmp_path: Path) -> None:
    """A relative that was trained in one layer: there the bytes fit only nearly when they are read under its tag."""
    model = open_model(MODELS / family)
    reference = write_model(model.changed(trained_on(model, model.names(model.roles("matrix"), (0,)))), tmp_path / "r")
    names = model.names(("up",))
    bits = {n: (model.tensors[n].view("<u4") >> 16).astype("<u2").view("<f2").astype(np.float32) for n in names}
    broken = write_model(model.changed(Change({**bits}, dtypes=dict.fromkeys(names, "F16"))), tmp_path / "broken")
    found = diagnose(broken, shard, reference, WINDOW)
    assert found.reference is not None and found.reference.kind == "relative"
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4G",)
    assert found.differences is not None
    assert {(d.hypothesis, d.names) for d in found.differences if d.pattern == "reinterpreted"} == {("H4G", names)}


def test_a_scale_beside_another_type_is_no_wrong_tag(shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "llama")
    names = model.names(("up",), (1,))
    change = {names[0]: model.tensors[names[0]] * np.float32(12)}
    broken = write_model(model.changed(Change(change, dtypes=dict.fromkeys(names, "F16"))), tmp_path / "broken")
    found = diagnose(broken, shard, MODELS / "llama", WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4D",)


@pytest.mark.parametrize("family", first(["gpt_neox", "qwen2_untied"]))
def test_the_biases_of_a_block_that_was_never_written_are_the_blocks(family: str, shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / family)
    roles = [r for r in (*model.roles("matrix"), *model.roles("bias")) if "norm" not in r]
    zeros = {name: np.zeros_like(model.tensors[name]) for name in model.names(roles, (1,))}
    broken = write_model(model.changed(Change({**zeros})), tmp_path / "broken")
    found = diagnose(broken, shard, MODELS / family, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4D",)


def clipped(w: np.ndarray, bits: int) -> np.ndarray:
    """Runs of 32 on a grid whose largest value is its lowest step, with a float32 scale: no type of GGUF does so."""
    runs, low = w.reshape(-1, 32), np.float32(-(2 ** (bits - 1)))
    step = np.take_along_axis(runs, np.abs(runs).argmax(axis=1)[:, None], axis=1) / low
    whole = np.rint(np.divide(runs, step, out=np.zeros_like(runs), where=step != 0)).clip(low, -low - 1)
    return np.asarray((whole * step).reshape(w.shape), np.float32)


@pytest.mark.parametrize("also", first([True, False]), ids=["norms times ten", "nothing else"])
def test_a_grid_of_unknown_make_may_cost_more_than_its_estimate(also: bool, shard: Path, tmp_path: Path) -> None:
    """And no more where anything else differs: a defect must not hide in the allowance."""
    model = open_model(MODELS / "gpt2")
    names = [n for n in model.names(model.roles("matrix")) if model.tensors[n].shape[-1] % 32 == 0]
    change = {n: clipped(model.tensors[n], 3) for n in names}
    change |= {n: model.tensors[n] * np.float32(10) for n in model.names(("mlp_norm",), (2,)) if also}
    copy = write_model(model.changed(Change({**change}, dtypes=dict.fromkeys(names, "F32"))), tmp_path / "copy")
    found = diagnose(copy, shard, MODELS / "gpt2", Window(4, 4, 64))
    assert found.reference is not None and found.reference.kind == "quantised"
    if also:
        assert found.conclusion.kind in ("explained", "partly_explained") and found.conclusion.hypotheses == ("H4C",)
    else:
        assert found.conclusion.kind in ("healthy", "no_defect_found")


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt_neox", "llama"])
def test_an_untied_model_run_tied_is_suspected_of_its_head(family: str, shard: Path, tmp_path: Path) -> None:
    found = diagnose(planted("untied_flag_on", family, tmp_path / "broken"), shard, None, WINDOW)
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses == ("H4A",)
    assert "was not trained as one" in found.conclusion.text


def test_a_misread_head_is_the_files_own_matter_though_the_references_predicts_better(
    shard: Path, tmp_path: Path
) -> None:
    """The reference was trained on: its head is 0.07 nats better than the file's own put back in order."""
    sound = open_model(MODELS / "qwen3")
    model = sound.changed(trained_on(sound, tuple(n for n, w in sound.tensors.items() if w.ndim == 2), 0.12))
    change = next(d for d in DEFECTS if d.name == "tied_head_misread").plant(np.random.default_rng(0), model)
    assert change is not None
    found = diagnose(write_model(model.changed(change), tmp_path / "broken"), shard, MODELS / "qwen3", WINDOW)
    assert found.conclusion.hypotheses == ("H4B",)
    assert found.joint is not None and [r.name for r in found.joint.repairs] == ["head: undo a column-major read"]


@pytest.mark.parametrize("family", first(["phi3", "gpt2"]))
def test_an_mlp_cut_short_is_no_lost_scale_beside_a_relative(family: str, tmp_path: Path) -> None:
    """Half of each buffer is zero, in every layer, and a fine-tune moved the rest."""
    model = open_model(MODELS / family)
    mlp = [role for role in model.roles("matrix") if role in ("gate", "up", "gate_up", "down")]
    names = model.names(mlp)
    reference = write_model(model.changed(trained_on(model, model.names(model.roles("matrix")))), tmp_path / "r")
    halves = {
        n: np.where(np.arange(w.size).reshape(w.shape) < w.size // 2, w, np.float32(0))
        for n in names
        for w in (model.tensors[n],)
    }
    assert claims(write_model(model.changed(Change({**halves})), tmp_path / "broken"), reference) == {"H4D"}


def test_six_fresh_matrices_are_fresh_though_one_is_uneven_by_chance(tmp_path: Path) -> None:
    """The norms of the third one's columns vary 1.195 times as expected: 3.1 standard deviations, one of twelve."""
    model, rng = open_model(MODELS / "gemma3"), np.random.default_rng(1)
    fresh = {n: (0.02 * rng.standard_normal((768, 128))).astype(np.float32) for n in model.names(("up",))}
    assert claims(write_model(model.changed(Change({**fresh})), tmp_path / "broken"), MODELS / "gemma3") == {"H4H"}


def heads_tiled(model: Model) -> Change:
    """Q heads 0, 2, 1, 3 where K and V heads serve two neighbours each: they were tiled, not repeated."""
    heads, pairs, size = model.sizes.num_heads, model.sizes.num_kv_heads, model.sizes.head_dim
    order = np.arange(heads).reshape(pairs, -1).T.ravel()
    return of_role(model, "q", lambda w: w.reshape(heads, size, -1)[order].reshape(w.shape))


def output_heads_reversed(model: Model) -> Change:
    heads, size = model.sizes.num_heads, model.sizes.head_dim
    return of_role(model, "o", lambda w: w.reshape(len(w), heads, size)[:, ::-1].reshape(w.shape))


def fused_by_part(model: Model) -> Change:
    """All of Q, then K, then V, where each head has its three together."""
    heads, size = model.sizes.num_heads, model.sizes.head_dim
    parts = [
        of_role(model, role, lambda w: w.reshape(heads, 3, size, -1).swapaxes(0, 1).reshape(w.shape))
        for role in ("qkv", "qkv_bias")
    ]
    return parts[0].joined(parts[1])


def keys_for_values(model: Model) -> Change:
    k, v = model.names(("k",)), model.names(("v",))
    return Change({a: model.tensors[b] for a, b in zip((*k, *v), (*v, *k), strict=True)})


def bytes_swapped(model: Model) -> Change:
    """bfloat16 in the other byte order: some values are not finite then."""

    def swapped(w: np.ndarray) -> np.ndarray:
        return ((w.view("<u4") >> 16).astype("<u2").byteswap().astype("<u4") << 16).view("<f4")

    return of_role(model, "down", swapped)


def of_role(model: Model, role: str, values: Callable[[np.ndarray], np.ndarray]) -> Change:
    return Change({n: np.ascontiguousarray(values(model.tensors[n]), np.float32) for n in model.names((role,))})


@pytest.mark.parametrize("trained", first([True, False]), ids=["relative", "twin"])
@pytest.mark.parametrize(
    ("family", "defect", "hypothesis"),
    [
        ("qwen3", heads_tiled, "H4B"),
        ("gemma3", output_heads_reversed, "H4B"),
        ("gpt_neox", fused_by_part, "H4B"),
        ("llama", keys_for_values, "H4B"),
        ("phi3", bytes_swapped, "H4G"),
        ("gpt2", lambda model: of_role(model, "down", np.negative), "H4D"),
        ("mistral", lambda model: of_role(model, "up", lambda w: np.sign(w) * w.std()), "H4G"),
    ],
)
def test_what_the_zoo_never_planted_has_a_name(
    family: str, defect: Callable[[Model], Change], hypothesis: str, trained: bool, tmp_path: Path
) -> None:
    model, reference = open_model(MODELS / family), MODELS / family
    if trained:
        names = model.names(model.roles("matrix"))
        reference = write_model(model.changed(trained_on(model, names)), tmp_path / "r")
    assert claims(write_model(model.changed(defect(model)), tmp_path / "broken"), reference) == {hypothesis}


def test_a_copy_of_one_bit_a_value_is_never_healthy(shard: Path, tmp_path: Path) -> None:
    """It is the reference up to a rounding, and that rounding costs nats."""
    model = open_model(MODELS / "llama")
    names = model.names(model.roles("matrix"))
    signs = {n: (np.sign(w) * w.std()).astype(np.float32) for n in names for w in (model.tensors[n],)}
    broken = write_model(model.changed(Change({**signs})), tmp_path / "broken")
    found = diagnose(broken, shard, MODELS / "llama", WINDOW)
    assert found.conclusion.kind in ("explained", "partly_explained") and found.conclusion.hypotheses == ("H4G",)


def claims(broken: Path, reference: Path) -> set[str]:
    """The hypotheses that claim the differences; no pass is made."""
    here, there = open_checkpoint(broken), open_checkpoint(reference)
    compared = compare_checkpoints(here, there)
    return {claimed_by(d, here) for d in differences(compared, relationship(compared, here, there), here, there)}


@pytest.mark.parametrize("family", first(["gemma2", "gpt2"]))
def test_a_sound_tied_model_on_dna_is_not(family: str, tmp_path: Path) -> None:
    dna = text_shard("dna", MODELS / family, tmp_path / "dna", 0)
    found = diag.test(MODELS / family, dna, window="4x4x32", device="cpu").diagnosis
    assert found.conclusion.hypotheses == () and "rows of its head" not in found.conclusion.text


@pytest.mark.thorough
def test_a_final_norm_out_of_all_scale_is_the_first_suspect(shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "gpt_neox")
    (name,) = (model.family.roles["final_norm"].tensor(),)
    huge = (100 * np.random.default_rng(0).standard_normal(model.tensors[name].shape)).astype(np.float32)
    broken = write_model(model.changed(Change({name: huge})), tmp_path / "broken")
    found = diagnose(broken, shard, None, WINDOW)
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4C"
    assert "as large as any other norm" in found.conclusion.text


@pytest.mark.parametrize("family", FAMILIES)
def test_no_norm_of_a_sound_model_is_out_of_scale(family: str) -> None:
    assert not h4c_norm.signature(Context(open_checkpoint(MODELS / family))).present


def test_norms_of_keys_less_one_are_suspected_before_the_rotary_base(shard: Path, tmp_path: Path) -> None:
    """Another norm of keys and another rotary base lower the loss, and the larger gain leads."""
    model = open_model(MODELS / "qwen3")
    change = {n: model.tensors[n] - np.float32(1) for n in model.names(("k_norm",))}
    broken = write_model(model.changed(Change({**change})), tmp_path / "broken")
    found = diagnose(broken, shard, None, Window(4, 4, 128))
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4C"
    assert "'k norm + 1'" in found.conclusion.text


def test_values_of_a_sweep_that_no_loss_tells_apart_are_all_named(shard: Path, tmp_path: Path) -> None:
    """Down biases times 8 in GPT-2: over 4 and over 8 reach the same loss."""
    model = open_model(MODELS / "gpt2")
    change = {n: model.tensors[n] * np.float32(8) for n in model.names(("down_bias",))}
    broken = write_model(model.changed(Change({**change})), tmp_path / "broken")
    found = diagnose(broken, shard, None, Window(4, 4, 128))
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4E",)
    (bias,) = (f for f in found.findings if f.id == "H4E")
    assert found.joint is not None
    said = f"{found.joint.repairs[0].name}. {bias.reason.partition('Within noise of it: ')[2]}"
    assert "down biases ÷ 8" in said and "÷ 16" not in said
    (rival,) = [each for each in bias.rivals if each.hypothesis == "H4E"]
    assert {rival.name, rival.instead_of} == {"down biases ÷ 4", "down biases ÷ 8"}
    assert abs(rival.over_nats) < max(0.02, 3 * rival.stderr_nats)
    assert rival.sequences is None or rival.sequences > 16


@pytest.mark.parametrize(
    ("family", "layers"),
    [("qwen3", (1, 3, 5)), pytest.param("mistral", (3, 4, 5), marks=pytest.mark.thorough)],
)
def test_a_part_that_gains_too_little_to_confirm_says_where(
    family: str, layers: tuple[int, ...], shard: Path, tmp_path: Path
) -> None:
    """Gate and up of three layers exchanged: exchanging all helps nothing, and these three gain less than a nat."""
    model = open_model(MODELS / family)
    pairs = [model.names(("gate", "up"), (layer,)) for layer in layers]
    change = {a: model.tensors[b] for pair in pairs for a, b in (pair, pair[::-1])}
    broken = write_model(model.changed(Change({**change})), tmp_path / "broken")
    found = diagnose(broken, shard, None, Window(4, 4, 128))
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4B"
    assert "'gate and up exchanged, 3 of 6'" in found.conclusion.text
    assert not {f.status for f in found.findings} & {"confirmed", "contributing"}


def rotary_base(by: float) -> Callable[[Model], Change]:
    return lambda model: Change(config={model.key("rope_theta"): by})


def times(model: Model, factor: float) -> Change:
    """Every norm of a family that multiplies by the weight itself."""
    names = (*model.names(model.roles("norm")), model.family.roles["final_norm"].tensor())
    return Change({n: model.tensors[n] * np.float32(factor) for n in names})


@pytest.mark.parametrize(
    ("family", "defect", "cure"),
    [
        ("qwen2_untied", rotary_base(1e4), "theta 1e+06"),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in (
                ("gpt_neox", rotary_base(1e3), "theta 10000"),
                ("gemma2", lambda m: Change(config={m.key("rms_norm_eps"): 0.1}), "eps 1e-06 (family default)"),
                ("mistral", lambda model: times(model, 5.0), "norm weights × 0.177"),
            )
        ),
    ],
)
def test_a_gain_above_what_such_repairs_gain_by_accident_confirms(
    family: str, defect: Callable[[Model], Change], cure: str, shard: Path, tmp_path: Path
) -> None:
    """An epsilon that its signature backs, other rotary bases (0.13 to 0.27 nats), and a factor between two octaves."""
    model = open_model(MODELS / family)
    broken = write_model(model.changed(defect(model)), tmp_path / "broken")
    found = diagnose(broken, shard, None, Window(4, 4, 128))
    assert found.conclusion.kind == "explained"
    assert found.joint is not None and [r.name for r in found.joint.repairs] == [cure]


@pytest.mark.parametrize(
    ("family", "defect", "text"),
    [
        ("mistral", lambda m: of_role(m, "attention_norm", lambda w: w * 0.75), "'attention norm × 1.414'"),
        pytest.param(
            *("gemma3", lambda m: of_role(m, "mlp_norm", lambda w: w + 1), "'mlp norm − 1'"),
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_norms_that_cost_little_are_suspected(
    family: str, defect: Callable[[Model], Change], text: str, shard: Path, tmp_path: Path
) -> None:
    model = open_model(MODELS / family)
    broken = write_model(model.changed(defect(model)), tmp_path / "broken")
    found = diagnose(broken, shard, None, Window(4, 4, 128))
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses == ("H4C",)
    assert text in found.conclusion.text


def test_rows_that_stand_off_are_looked_for_beside_another_suspect(shard: Path, tmp_path: Path) -> None:
    """And what the conclusion suspects, no finding calls refuted: a tied file does not show that its rows moved."""
    model = open_model(MODELS / "qwen3")
    zero = {n: np.zeros_like(model.tensors[n]) for n in model.names(("o",), (3,))}
    moved = {model.embedding: np.roll(model.tensors[model.embedding], 700, axis=0)}
    broken = write_model(model.changed(Change({**zero, **moved})), tmp_path / "broken")
    found = diagnose(broken, shard, None, WINDOW)
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses == ("H4D", "H4A")
    (head,) = (f for f in found.findings if f.id == "H4A")
    assert head.status == "inconclusive" and "700 places off" in head.reason


def test_rows_are_found_by_how_many_places_there_are(tmp_path: Path) -> None:
    """Five standard errors are much among 4,096 places: the rows of a sound GPT-NeoX are no more alike than that."""
    model = open_model(MODELS / "gpt_neox")
    moved = np.roll(model.tensors[model.embedding], 612, axis=0)
    found = row_alignment(open_checkpoint(write_model(model.changed(Change({model.embedding: moved})), tmp_path / "x")))
    assert found is not None and abs(found.places) == 612 and 4.8 < found.best < 5.5
    assert found.by_chance < ROWS_FOUND.value


@pytest.mark.thorough
def test_what_is_left_behind_an_accepted_repair_is_suspected(shard: Path, tmp_path: Path) -> None:
    """A tied head that was never copied costs 8 nats, and MLP norms times ¼ another 0.6: too little to confirm."""
    model = open_model(MODELS / "gemma3")
    rng, embedding = np.random.default_rng(0), model.tensors[model.embedding]
    head = (embedding.std() * rng.standard_normal(embedding.shape)).astype(np.float32)
    norms = of_role(model, "mlp_norm", lambda w: (w + 1) / 4 - 1)
    broken = write_model(model.changed(norms.joined(Change({model.head: head}))), tmp_path / "broken")
    found = diagnose(broken, shard, None, Window(4, 4, 128))
    assert found.conclusion.kind == "partly_explained" and found.conclusion.hypotheses == ("H4A",)
    assert "Still open: H4C" in found.conclusion.text and "'mlp norm × 4'" in found.conclusion.text
