"""The sections on a terminal: the same words as in the report, with marks, and nothing from a file acts as markup."""

from __future__ import annotations

import io

from evidence_samples import broken, diagnosis, measured, reading
from rich.console import Console

from diag.report.sections import of_result
from diag.report.terminal import draw
from diag.results.baseline import LayerProbe
from diag.results.diagnosis import Conclusion
from diag.results.finding import Finding, RepairResult, Signature


def drawn(result: object, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    draw(console, of_result(result))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_test_is_drawn_in_the_order_of_its_report() -> None:
    text = drawn(diagnosis(notes=("A note.",)))
    titles = ("Conclusion", "Ruler", "Findings", "Joint set", "Finding by finding", "Gate", "Checks", "Notes")
    places = [text.index(f"{title}\n") for title in titles]
    assert places == sorted(places)
    assert "◆ Explained: H4A. The head never received the embedding." in text
    assert "Loss 19.800 ± 0.050 nats, worse than chance (n = 2,048 tokens in 4 sequences, on cpu in fp32)." in text
    assert "● H4A confirmed: " in text and "Seen: head is random" in text
    assert "∅ VOID: loss < 9.380 nats." in text and "A note." in text


def test_a_test_shows_what_a_repair_gains_on_top_of_the_others_and_what_would_decide() -> None:
    repair = RepairResult("r", 2.5, 17.3, 0.04, 0.98, on_top_delta_nats=-0.5, on_top_stderr_nats=0.01)
    found = Finding("H4B", "inconclusive", Signature(True, ""), (repair,), "r", would_decide="Pick a reference.")
    text = drawn(diagnosis(findings=(found,)))
    assert "17.300 ± 0.040" in text and "−0.500 ± 0.010" in text and "98 %" in text
    assert "? inconclusive" in text and "H4B: Pick a reference." in text


def test_a_measurement_is_drawn_with_its_layers_and_its_skill() -> None:
    layers = (LayerProbe(0, 2.0, 0.5, 0.6, 0.25, 0.3, 8.1, 0),)
    text = drawn(broken(measurement=measured(19.8, layers=layers), missing=("lm_head.weight",)))
    row = next(line for line in text.splitlines() if line.strip().startswith("0 "))
    assert row.split() == ["0", "2", "0.25", "0.3", "8.100", "0"]
    assert "Skill −2.85" in text and "initialised at random by the family's rule with seed 0: lm_head.weight" in text
    assert "✕ degenerate" in drawn(reading()) and "Findings" not in drawn(reading())


def test_text_from_a_file_is_printed_literally_and_on_one_line() -> None:
    nasty = "[bold red]x[/] \x1b[31m\nsecond"
    text = drawn(diagnosis(conclusion=Conclusion("explained", (), nasty), notes=(nasty,)))
    assert text.count("[bold red]x[/]") == 2 and "\x1b" not in text and "\nsecond" not in text
