"""A run of the zoo: cases are tested as `subrandom test` tests them, kept line by line, and counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from diag.zoo.bench import Options
from diag.zoo.run import finished, run
from diag.zoo.table import cells, faults, judged, markdown

MODELS = Path(__file__).parent / "models"


@pytest.fixture(scope="module")
def options(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Options:
    """The first cases of seed 0 on the demo's shard, without a reference and with the twin."""
    work = tmp_path_factory.mktemp("zoo")
    made = Options(
        MODELS / "qwen3", demo / "shards" / "stdlib", work, window="4x4x32", device="cpu", modes=("none", "twin")
    )
    run(made, 2, 1, 1)
    return made


def test_every_case_has_a_line_for_each_mode(options: Options) -> None:
    found = finished(options, 2, 1)
    assert [(r["case"][:5], r["mode"]) for r in found] == [
        (case, mode) for case in ("d0000", "d0001", "c0000") for mode in ("none", "twin")
    ]
    assert all(r["answer"]["conclusion"]["kind"] for r in found)
    sound = found[-1]
    assert sound["answer"]["loss_nats"] == sound["answer"]["reference_nats"] and sound["truth"]["row"] == "sound"
    costs = [cost for r in found[:4] for cost in r["truth"]["costs"]]
    broken = found[0]["answer"]["loss_nats"] - sound["answer"]["loss_nats"]
    assert costs[0] == pytest.approx(broken, abs=1e-5)


def test_a_run_goes_on_where_it_was(options: Options) -> None:
    file = options.work / "results.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-1], lines[-1][:40]]) + "\n")  # stopped while a line was written
    run(options, 2, 1, 1)
    assert [json.loads(line)["case"][:5] for line in file.read_text().splitlines()[len(lines) :]] == ["c0000"]
    assert not list(options.work.glob(".planted-*"))


def test_only_and_modes_choose_among_what_is_finished(options: Options) -> None:
    chosen = replace(options, only="^c", modes=("twin",))
    assert [r["mode"] for r in finished(chosen, 2, 1)] == ["twin"]
    assert not finished(replace(options, seed=1), 2, 1)


def test_the_table_counts_each_case_in_its_row_and_lists_what_is_wrong(options: Options) -> None:
    found = judged(finished(options, 2, 1))
    rows = dict(cells(found, options.modes))
    assert [n for _, n in rows["**a wrong hypothesis confirmed or contributing**"]] == [3, 3]
    assert [n for _, n in rows["**sound controls called otherwise**"]] == [1, 1]
    text = markdown(found, options.modes)
    assert text.startswith("| | no reference | twin |\n|---|---|---|\n| H4A, one defect |")
    wrong = [j for j in found if not j.judgement.right]
    assert faults(found, lambda j: f"again {j.case}") == [
        line for line in faults(wrong, lambda j: f"again {j.case}") if "again" in line
    ]
