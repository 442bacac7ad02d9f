"""Records by their short ids, reports for others, and what CI systems read: as a black box, in one process."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_cli_contract import ROOT, answer, here

W = ("--batches", "2", "--batch-size", "4", "--seq-len", "64")


@pytest.fixture(scope="module")
def kept(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evidence folder with one record: H4A alone, confirmed."""
    evidence = tmp_path_factory.mktemp("kept")
    checkpoints = demo / "checkpoints"
    what = ("--checkpoint", checkpoints / "h4a-random-head", "--reference", checkpoints / "healthy")
    code, shown, _ = here(
        *("test", "H4A", *what, "--shard", demo / "shards" / "stdlib", *W, "--evidence", evidence),
        *("--gate", "--format", "github"),
    )
    assert code == 1
    assert shown.startswith("::error title=Subrandom%2C h4a-random-head on stdlib%3A explained (H4A)::H4A explains it")
    assert "100 %25 of the excess" in shown and shown.count("::error") == len(shown.splitlines()) == 2
    return evidence


def test_records_are_named_by_the_beginning_of_their_id(kept: Path) -> None:
    row = answer("records", "list", "--evidence", kept)["records"][0]
    assert row["short"] == row["id"][:8] and Path(row["path"]).is_file()
    assert (row["conclusion"], row["hypotheses"]) == ("explained", ["H4A"]) and row["loss_nats"] > 12
    shown = answer("records", "show", row["id"][:4], "--evidence", kept)
    assert shown == json.loads(Path(row["path"]).read_text())
    assert answer("records", "show", "--evidence", kept) == shown
    link = answer("records", "open", row["id"].upper()[:6], "--evidence", kept, "--port", "1")
    assert link["url"].endswith(f":1/r/{row['id']}") and not link["answers"] and not link["opened"]
    assert row["short"] in here("records", "list", "--evidence", kept)[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [("abc", "is no record id"), ("../x", "is no record id"), ("0000", "no record 0000 here"), ("", "is no record id")],
)
def test_an_id_that_names_none_is_refused_in_one_line(kept: Path, text: str, says: str) -> None:
    code, shown, said = here("report", text, "--evidence", kept)
    assert (code, shown, said.count("\n")) == (2, "", 1) and says in said


def test_an_ambiguous_id_names_those_it_could_be(kept: Path, tmp_path: Path) -> None:
    from diag.errors import InputError
    from diag.evidence.record_names import resolve_id, shortened

    (tmp_path / "records").mkdir()
    ids = ["abcd000000000000", "abcd000000000001"]
    for id in ids:
        (tmp_path / "records" / f"{id}.json").write_text("{}")
    with pytest.raises(InputError, match="stands for 2 records: abcd000000000000, abcd000000000001"):
        resolve_id(tmp_path, "abcd")
    assert shortened(ids) == {id: id for id in ids}


def test_the_html_report_loads_nothing_and_cannot_be_left_by_text(kept: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert here("report", answer("records", "list", "--evidence", kept)["records"][0]["short"], "--evidence", kept,
                "--format", "html", "--out", out)[0] == 0  # fmt: skip
    text = out.read_text()

    class Links(HTMLParser):
        found: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    parser = Links()
    parser.feed(text)
    assert parser.found == [] and "default-src 'none'" in text
    assert "<title>Explained (H4A tied weights): h4a-random-head on stdlib" in text
    assert text.count("data-chart=") == 2 and "What to do" in text


def test_junit_counts_what_the_gate_fails(demo: Path) -> None:
    code, shown, _ = here(
        "shard", demo / "shards" / "stdlib-unk", "--gate-below", "9.38", "--gate", "--format", "junit"
    )
    root = ElementTree.fromstring(shown.encode())
    assert (
        code == 1 and root.get("failures") == str(len(root.findall(".//failure"))) and int(root.get("failures", 0)) > 2
    )
    assert root.find(".//testcase[@name='gate']/failure").get("message") == "VOID"  # type: ignore[union-attr]
    code, shown, _ = here("shard", demo / "shards" / "stdlib", "--gate", "--format", "junit", "--first", "100000")
    root = ElementTree.fromstring(shown.encode())
    assert (code, root.get("failures"), root.get("tests")) == (0, "0", "1")
    code, shown, said = here("shard", demo / "shards" / "stdlib", "--json", "--format", "junit")
    assert (code, shown) == (2, "") and "does not go with --json" in said


def test_the_action_writes_summary_comment_and_outputs(demo: Path, tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary.md", tmp_path / "outputs"
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHON": sys.executable,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "CHECKPOINT": str(demo / "checkpoints" / "h4a-random-head"),
        "SHARD": str(demo / "shards" / "stdlib"),
        "REFERENCE": str(demo / "checkpoints" / "healthy"),
        "ARGUMENTS": " ".join(("H4A", *W)),
        "EVIDENCE": str(tmp_path / "an evidence folder"),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(outputs),
    }
    script = ["bash", str(ROOT / "tools" / "action.sh")]
    done = subprocess.run(script, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1 and done.stdout.startswith("::error"), done.stderr
    said = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert said["conclusion"] == "explained" and len(said["record"]) == 16
    assert summary.read_text() == Path(said["comment"]).read_text()
    assert summary.read_text().startswith("### ◆ Explained (H4A tied weights): h4a-random-head on stdlib")
    action = (ROOT / "action.yml").read_text()
    assert all(f"{name}:" in action for name in ("CHECKPOINT", "SHARD", "REFERENCE", "ARGUMENTS", "EVIDENCE", *said))
