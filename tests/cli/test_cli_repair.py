"""`repair`, `apply` and `reproduce` as a program meets them: exact keys, refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli_contract import answer, here

WINDOW = ("--batches", "1", "--batch-size", "2", "--seq-len", "16")


def refused(*args: object) -> str:
    """The one line on stderr of a command that exits with 2 and prints nothing else."""
    code, out, err = here(*args)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


def test_a_record_is_repaired_and_the_patch_applied(demo: Path, shard: Path, tmp_path: Path) -> None:
    broken, sound, kept = demo / "checkpoints" / "h4a-random-head", demo / "checkpoints" / "healthy", tmp_path / "kept"
    asked = ("--checkpoint", broken, "--shard", shard, "--reference", sound, "--evidence", kept, *WINDOW)
    tested = answer("test", "H4A", *asked)
    assert {row["what"] for row in tested["conclusion"]["fix"]} == {"tensor", "code", "converter"}
    id, paths = tested["record"]["id"], asked[:8]
    found = answer("repair", id[:8], "--out", tmp_path / "fixed", *paths)
    assert set(found) >= {"path", "loss_nats", "reference_nats", "changes", "patch", "record"}
    assert abs(found["loss_nats"] - found["reference_nats"]) < 0.01 < tested["loss_nats"] - 1
    assert [(c["kind"], c["name"]) for c in found["changes"]] == [("tensor", "lm_head.weight")]
    assert found["patch"] == str(tmp_path / "fixed" / "repair.json") and Path(found["record"]["path"]).is_file()
    applied = answer("apply", found["patch"], broken, "--out", tmp_path / "again")
    assert applied["fingerprint"] == json.loads(Path(found["patch"]).read_text())["repaired"]
    assert "There is something already" in refused("repair", id, "--out", tmp_path / "fixed", *paths)
    assert "not the checkpoint of record" in refused(
        "repair", id, "--out", tmp_path / "no", "--checkpoint", sound, *paths[2:]
    )
    assert "not the checkpoint that the patch" in refused("apply", found["patch"], sound, "--out", tmp_path / "no")
    assert "no patch" in refused("apply", broken / "config.json", broken, "--out", tmp_path / "no")
    assert "holds no repair" in refused("repair", found["record"]["id"], "--out", tmp_path / "no", "--evidence", kept)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--claimed-loss", "nan"), "claimed-loss is nan"),
        (("--claimed-loss=-1",), "no cross-entropy"),
        (("--claimed-loss", "19.8", "--seq-len", "99999"), "positions"),
        ((), "Missing option"),
    ],
)
def test_a_reproduction_that_makes_no_sense_is_one_line(
    options: tuple[str, ...], says: str, healthy: Path, shard: Path
) -> None:
    assert says in refused("reproduce", "--checkpoint", healthy, "--shard", shard, *options)
