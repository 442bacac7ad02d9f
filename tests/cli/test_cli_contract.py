"""The command line as a black box: one JSON object with the keys of the contract, and the exit codes."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from diag.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--batches", "2", "--batch-size", "4", "--seq-len", "128")


def run(*args: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command, as a person would run it."""
    return subprocess.run(
        [sys.executable, "-m", "diag", *map(str, args)],
        cwd=ROOT,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def here(*args: object) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of one command, in this process: a new one takes four seconds to load torch."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    interrupt, code = signal.getsignal(signal.SIGINT), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["subrandom", *map(str, args)])
        patch.setattr(os, "environ", os.environ.copy())
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)  # put back at the end
        patch.chdir(ROOT)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            signal.signal(signal.SIGINT, interrupt)
    return code, *(stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]


def answer(*args: object, code: int = 0) -> dict[str, Any]:
    """The one JSON object on stdout; json refuses NaN, as other parsers do."""
    ended, shown, said = here(*args, "--json")
    assert ended == code, said

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(shown, parse_constant=refuse)


def refused(*args: object) -> str:
    """The one line on stderr of a command that exits with 2 and prints nothing else."""
    code, shown, said = here(*args)
    assert code == 2, (code, shown, said)
    assert shown == "" and said.count("\n") == 1 and "Traceback" not in said
    return said


def test_demo(demo: Path) -> None:
    value = answer("demo")
    assert value["dir"] == str(demo) and set(value["shards"]) == {"healthy", "broken"}
    planted = {case["name"]: case["planted"] for case in value["cases"]}
    assert planted["healthy"] == [] and sorted(len(ids) for ids in planted.values()) == [0, 1, 1, 1, 1, 1, 2]
    assert value["window"] == {"batches": 4, "batch_size": 4, "seq_len": 256}
    assert all(Path(case["checkpoint"]).is_dir() and Path(case["shard"]).is_dir() for case in value["cases"])


def test_shard_compares_reads_and_audits_the_window(demo: Path) -> None:
    broken, sound = demo / "shards" / "stdlib-unk", demo / "shards" / "stdlib"
    tokenizer = demo / "checkpoints" / "healthy"
    more = ("--gate-below", "9.38", "--compare", sound, "--read", "1000:1004", "--batches", "4", "--seq-len", "256")
    value = answer("shard", broken, "--tokenizer", tokenizer, *more)
    assert (value["status"], value["gate"]["word"]) == ("degenerate", "VOID")
    assert {part["status"] for part in value["parts"]} == {"degenerate"} and len(value["parts"]) == 3
    assert value["window"]["tokens"] == 4 * 4 * 257 and value["window"]["status"] == "degenerate"
    rows = {row["metric"]: (row["here"], row["there"]) for row in value["compare"]["rows"]}
    assert rows["Distinct tokens"] == ("2", "3,824") and rows["Unk ratio"] == ("99.99%", "0.00%")
    assert [(t["position"], t["text"]) for t in value["span"]["items"]] == [(i, "<unk>") for i in range(1000, 1004)]
    shown = here("shard", broken, "--tokenizer", tokenizer, *more)[1]
    assert "Whole shard" in shown and "gate: the unigram alone against 9.38 nats: VOID" in shown


def test_the_bigram_of_a_sound_shard_lie_between_nothing_and_the_unigram(demo: Path) -> None:
    value = answer("shard", demo / "shards" / "stdlib", "--vocab-size", "4096")
    assert 3 < value["bigram"]["nats"] < value["entropy_nats"] - 1
    assert value["bigram"]["scored"] > 1_000_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--read", "x"), "'x' is no span"),
        (("--read", "5:5"), "span of 0 tokens"),
        (("--read", "99999999"), "outside the shard"),
        (("--compare", "/nowhere"), "No such file or folder"),
        (("--seq-len", "0"), "seq-len is 0"),
    ],
)
def test_a_shard_option_that_makes_no_sense_is_one_line(shard: Path, options: tuple[str, str], says: str) -> None:
    assert says in refused("shard", shard, "--no-bigram", *options)


def test_shard(demo: Path, healthy: Path) -> None:
    value = answer("shard", demo / "shards" / "stdlib-unk", "--tokenizer", healthy, "--gate-below", "9.38")
    assert value["status"] == "degenerate" and value["gate"] == {"below": 9.38, "word": "VOID"}
    assert value["distinct"] == 2 and value["unk_ratio"] == pytest.approx(0.9999, abs=1e-5)
    assert value["top"][0]["text"] == "<unk>" and value["entropy_bits"] == pytest.approx(0.0015, abs=1e-4)
    assert value["entropy_nats"] == pytest.approx(value["entropy_bits"] * math.log(2))
    assert {reason["code"] for reason in value["reasons"]} == {"top_id", "low_entropy", "unk", "long_run"}


def test_checkpoint(demo: Path, healthy: Path) -> None:
    sound, broken = answer("checkpoint", healthy), answer("checkpoint", demo / "checkpoints" / "h4a-random-head")
    assert (sound["format"], sound["family"], sound["tensors"]) == ("safetensors", "qwen2", 74)
    assert sound["parameters"] == 5_773_568 and sound["config"]["rms_norm_eps"] == 1e-6
    assert sound["tie"]["status"] == "tied_absent" and sound["findings"] == []
    assert broken["tie"]["status"] == "tied_diverged" and broken["tie"]["declared"] is True
    assert broken["tie"]["max_abs_diff"] > 0.1 and abs(broken["tie"]["cosine"]) < 0.05
    assert "error" in {finding["severity"] for finding in broken["findings"]}
    assert sound["fingerprint"] != broken["fingerprint"]


def test_forward(healthy: Path, shard: Path) -> None:
    value = answer("forward", "--checkpoint", healthy, "--shard", shard, "--reference", healthy, *SMALL)
    assert value["tokens"] == 8 * 128 and value["zone"] == "plausible"
    assert value["loss_bits"] == pytest.approx(value["loss_nats"] / math.log(2))
    assert value["perplexity"] == pytest.approx(math.exp(value["loss_nats"]))
    assert value["ruler"]["chance_nats"] == pytest.approx(math.log(4096))
    assert value["ruler"]["reference_nats"] == value["loss_nats"]
    ruler = value["ruler"]
    assert value["skill"] == pytest.approx(1 - value["loss_nats"] / ruler["unigram_nats"])
    assert value["loss_nats"] < ruler["bigram_nats"] < ruler["unigram_nats"] < ruler["chance_nats"]
    assert ruler["bigram_nats"] - 0.1 < ruler["border_nats"] < ruler["bigram_nats"] and ruler["border_note"] == ""
    assert [layer["index"] for layer in value["layers"]] == list(range(6))
    assert value["layers"][-1]["logit_lens_nats"] == pytest.approx(value["loss_nats"], abs=1e-5)
    assert set(value["seconds"]) == {"load", "forward"} and value["peak_memory_bytes"] > 10_000_000


def test_test_writes_a_record_that_report_and_search_find(
    demo: Path, shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = demo / "checkpoints" / "h4a-random-head"
    value = answer("test", "H4A", "--checkpoint", broken, "--shard", shard, *SMALL, "--evidence", tmp_path)
    finding = value["findings"][0]
    assert [f["id"] for f in value["findings"]] == ["H4A"] and finding["status"] == "confirmed"
    best = next(r for r in finding["repairs"] if r["name"] == finding["best_repair"])
    assert best["delta_nats"] == pytest.approx(value["loss_nats"] - best["loss_nats"], abs=1e-9)
    assert best["delta_nats"] > 3 * best["stderr_nats"] and best["share"] is None
    assert value["joint"]["attribution"] == {"H4A": pytest.approx(best["delta_nats"])}
    assert value["reference_nats"] is None and value["gate"] is None
    record = json.loads(Path(value["record"]["path"]).read_text())
    assert record["id"] == value["record"]["id"] and str(ROOT) not in json.dumps(record)  # no path of this machine
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(tmp_path))
    report = here("report", value["record"]["id"], "--format", "md")[1]
    assert "H4A" in report and f"{value['loss_nats']:.3f}" in report
    found = answer("evidence", "search", "confirmed")
    assert any(value["record"]["id"] in hit["path"] for hit in found["hits"])


def test_the_terminal_draws_what_the_report_says(
    demo: Path, shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test runs as a person runs it, in a process of its own."""
    broken, env = demo / "checkpoints" / "h4a-random-head", {"SUBRANDOM_EVIDENCE": str(tmp_path), "COLUMNS": "250"}
    shown = run("test", "H4A", "--checkpoint", broken, "--shard", shard, *SMALL, env=env).stdout
    found = re.search(r"^record ([0-9a-f]{16})  (.*)$", shown, re.M)
    assert found and Path(found[2]).is_file()
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    report = here("report", found[1])[1]
    for words in ("H4A explains it: ", "● H4A confirmed: ", "✕ tied diverged", "No reference vouches"):
        assert words in shown and words in report, words
    assert "head := embedding" in shown and "chance, ln of the embedding rows" in shown


def test_ids_beyond_the_rows_conclude_data_and_forward_refuses_them(healthy: Path, tmp_path: Path) -> None:
    import numpy as np

    bad = tmp_path / "shard-00000.bin"
    np.arange(4000, 6000, dtype="<u4").tofile(bad)
    where = ("--checkpoint", healthy, "--shard", bad, *SMALL)
    value = answer("test", *where, "--evidence", tmp_path)
    assert value["loss_nats"] is None and value["zone"] is None and value["conclusion"]["kind"] == "data"
    assert "4,096 rows" in refused("forward", *where)


@pytest.mark.parametrize(("case", "flags", "code"), [("h4a-random-head", ["--gate"], 1), ("healthy", ["--gate"], 0)])
def test_the_gate_flag_decides_the_exit_code(
    case: str, flags: list[str], code: int, demo: Path, tmp_path: Path
) -> None:
    where = ("--checkpoint", demo / "checkpoints" / case, "--shard", demo / "shards" / "stdlib", *SMALL)
    answer("test", "H4A", *where, "--evidence", tmp_path, *flags, code=code)


def test_a_claim_turns_the_conclusion(healthy: Path, shard: Path, tmp_path: Path) -> None:
    where = ("--checkpoint", healthy, "--shard", shard, *SMALL)
    in_bits = answer("forward", *where)["loss_bits"]
    claims = (((), "no_defect_found"), (("--claimed-loss", in_bits), "unit"), (("--claimed-loss", 19.8), "runtime"))
    for claim, kind in claims:
        assert answer("test", "H4A", *where, "--evidence", tmp_path, *claim)["conclusion"]["kind"] == kind


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("shard", "/nowhere"), "No such file or folder"),
        (("checkpoint", "{shard}"), "3 weight files"),
        (("test", "H9", "--checkpoint", "{healthy}", "--shard", "{shard}"), "H4A"),
        (("forward", "--checkpoint", "{healthy}", "--shard", "{shard}", "--seq-len", "2000"), "1024"),
        (("forward", "--checkpoint", "{healthy}", "--shard", "{shard}", "--batches", "0"), "batches is 0"),
        (("forward", "--checkpoint", "{healthy}"), "--shard"),
        (("report", "0123456789abcdef"), "no record"),
        (("report", "../../etc/passwd"), "no record id"),
        (("bogus",), "bogus"),
    ],
)
def test_unusable_input_is_one_line_and_exit_2(args: tuple[str, ...], says: str, healthy: Path, shard: Path) -> None:
    assert says in refused(*(arg.format(healthy=healthy, shard=shard) for arg in args))


def test_a_process_refuses_as_this_one_does(healthy: Path, shard: Path) -> None:
    """What is imported on the way says nothing on stderr."""
    asked = ("forward", "--checkpoint", healthy, "--shard", shard, "--seq-len", "2000")
    done = run(*asked)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", refused(*asked))


def test_a_reference_of_another_size_is_refused_by_name(healthy: Path, shard: Path, tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shape = {"hidden_size": 64, "num_hidden_layers": 6, "num_attention_heads": 2, "num_key_value_heads": 1}
    Qwen2ForCausalLM(Qwen2Config(**shape, intermediate_size=64, vocab_size=4096)).save_pretrained(tmp_path / "small")
    where = ("--checkpoint", healthy, "--shard", shard, "--reference", tmp_path / "small")
    assert "another model: hidden size 64" in refused("forward", *where, *SMALL)


def test_a_reference_of_another_family_is_refused(healthy: Path, shard: Path, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_embd": 256, "n_layer": 6, "n_head": 8, "vocab_size": 4096, "n_positions": 512}  # those of the demo
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(tmp_path / "gpt2")
    where = ("--checkpoint", healthy, "--shard", shard, "--reference", tmp_path / "gpt2")
    assert "another model: it has 0 of the checkpoint's 74 tensors" in refused("forward", *where, *SMALL)


def test_an_evidence_folder_that_cannot_be_written_is_found_out_first(
    healthy: Path, shard: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    said = refused("test", "--checkpoint", healthy, "--shard", shard, "--evidence", tmp_path / "file")
    assert "Records cannot be written" in said


def test_a_search_never_touches_a_file_that_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "precious.safetensors").write_bytes(b"somebody's weights")
    assert "no index" in refused("evidence", "search", "tied", "--db", tmp_path / "precious.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["precious.safetensors"]


def test_an_interrupt_exits_130_and_records_nothing(demo: Path, shard: Path, tmp_path: Path) -> None:
    broken = demo / "checkpoints" / "h4a-random-head"
    command = [sys.executable, "-m", "diag", "test", "--checkpoint", broken, "--shard", shard, "--evidence", tmp_path]
    process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    time.sleep(12)  # well inside the forward passes: the default window takes minutes here
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in stderr
    assert not list(tmp_path.rglob("*.json"))


DROPPED = """
import os, signal, weakref
from diag.cli import interrupt
class Thing: pass
def ended(_): os.kill(os.getpid(), signal.SIGINT); [None for _ in range(1000)]
def wrong(_): raise ValueError("another")
interrupt.install()
for what in (ended, wrong):
    thing = Thing(); kept = weakref.ref(thing, what); del thing
try: interrupt.checked(print)(0.5, "a batch")
except KeyboardInterrupt: print("stopped")
"""


def test_an_interrupt_that_python_drops_is_not_printed_and_stops_the_next_step() -> None:
    """As in a callback of the import system; other errors that are dropped are printed."""
    done = subprocess.run([sys.executable, "-c", DROPPED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "stopped\n"
    assert "KeyboardInterrupt" not in done.stderr and "ValueError: another" in done.stderr


def test_a_file_name_that_is_no_text_leaves_the_json_text(tmp_path: Path) -> None:
    for name in (b"shard-0.bin", b"shard-\xff.bin"):
        (tmp_path / os.fsdecode(name)).write_bytes(bytes(range(256)) * 16)
    done = subprocess.run(
        [sys.executable, "-m", "diag", "shard", str(tmp_path), "--no-bigram", "--json"],
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    assert len(json.loads(done.stdout.decode("utf-8"))["parts"]) == 2


def test_a_closed_pipe_is_no_failed_gate(shard: Path) -> None:
    command = f"{sys.executable} -m diag shard {shard} --no-bigram | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout.startswith("ok")) == (0, True)


def test_checkpoints_are_compared(demo: Path, healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = answer("checkpoint", demo / "checkpoints" / "h4b-gate-column-major", "--compare", healthy, "--tensors")
    found = value["compare"]
    assert found["path"] == str(healthy) and found["counts"] == {"reinterpreted": 6, "equal": 68}
    first = found["rows"][0]
    assert first["name"] == "model.layers.{0…5}.mlp.gate_proj.weight" and first["count"] == len(first["tensors"]) == 6
    assert first["verdict"] == "reinterpreted" and first["equal_rows_share"] == 0
    assert [row["name"] for row in value["tensor_table"]] == sorted(row["name"] for row in value["tensor_table"])
    assert len(value["tensor_table"]) == value["tensors"] == 74
    alone = answer("checkpoint", healthy)
    assert alone["compare"] is None and alone["tensor_table"] is None
    monkeypatch.setenv("COLUMNS", "200")
    text = here("checkpoint", demo / "checkpoints" / "h4c-norm-plus-one", "--compare", healthy)[1]
    assert "13 shifted, 61 equal" in text and "+1 on every element here" in text
    assert "no such file or folder" in refused("checkpoint", healthy, "--compare", "/nowhere")


def test_diverge_names_the_first_component_and_none_in_a_copy(demo: Path) -> None:
    checkpoints, shard = demo / "checkpoints", demo / "shards" / "stdlib"
    small = ("--shard", shard, "--batch-size", 2, "--seq-len", 48)
    broken = ("--checkpoint", checkpoints / "h4d-zero-down-proj", "--reference", checkpoints / "healthy")
    value = answer("diverge", *broken, *small)
    first, components = value["first"], value["components"]
    assert (first["layer"], first["component"], first["position"]) == (0, "down", 0)
    assert first["error_in"] == 0 and first["error_out"] == pytest.approx(1.0) and value["noise_floor"] < 1e-5
    assert {"layer", "component", "relative_error", "error_in", "error_out", "ratio"} <= set(components[0])
    assert components[0]["component"] == "embedding" and components[-1]["component"] == "head"
    jumping = [(c["layer"], c["component"]) for c in components if c["relative_error"] > 10 * c["noise_floor"]]
    assert jumping == [(0, "down")] and value["dtype"] == "fp32" and value["sequences"] == 2
    code, shown, _ = here("diverge", *broken, *small)
    assert code == 0 and "The first divergence is down, layer 0" in shown and "→ down" in shown

    same = ("--checkpoint", checkpoints / "healthy", "--reference", checkpoints / "healthy", *small)
    value = answer("diverge", *same, "--dtype", "fp64")
    assert value["first"] is None and value["dtype"] == "fp64" and value["noise_floor"] < 1e-15
    assert "No divergence above the noise floor" in value["sentence"]
    other = ROOT / "tests" / "zoo" / "models" / "llama"
    assert "another model" in refused("diverge", *same[:2], "--reference", other, *small)
