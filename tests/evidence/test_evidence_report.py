"""A report says the conclusion first, and nothing a record holds can act in it."""

from __future__ import annotations

import re

from evidence_samples import broken, diagnosis, reading, record_of
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.case import Case
from diag.evidence.records import Record
from diag.report.markdown import MAX_REPORT, escape, report_markdown
from diag.results.diagnosis import Conclusion
from diag.results.finding import Finding, RepairResult, Signature
from diag.units import Claim


def test_the_conclusion_comes_first_and_the_link_last(record: Record) -> None:
    text = report_markdown(record, "https://box.example/sub/")
    titles = re.findall(r"^## (.*)$", text, re.M)
    assert titles[0] == "Conclusion" and titles[-1] == "Permanent link"
    assert "Explained: H4A. The head never received the embedding" in text
    assert f"<https://box.example/sub/r/{record.id}>" in text
    assert "n = 2,048 tokens" in text and "worse than chance" in text


def test_the_ruler_is_in_nats_bits_and_perplexity_lowest_first(record: Record) -> None:
    text = report_markdown(record, None)
    rows = re.findall(r"^\| (reference|unigram|chance|this|claimed)\D* \| (\S+) \| (\S+) \|", text, re.M)
    assert [row[0] for row in rows] == ["reference", "unigram", "chance", "this"]
    assert rows[2] == ("chance", "11.930", "17.211")
    assert "claimed, given as 19.8 nats | 19.800 |" in text


def test_the_ruler_has_the_bigram_where_the_record_has_them(record: Record) -> None:
    text = report_markdown(record_of(diagnosis(broken(bigram=4.4))), None)
    assert "| held-out bigram | 4.400 | 6.348 |" in text
    assert "bigram" not in report_markdown(record, None)


def test_the_findings_and_the_joint_set_have_their_numbers(record: Record) -> None:
    text = report_markdown(record, None)
    assert "| H4A | ● confirmed | tie\\_head | 2.500 | 17.300 ± 0.040 | – | 98 % |" in text
    assert "| H4C | ✓ refuted | – | – | – | – | – |" in text
    assert "● H4A confirmed: " in text and "Seen: head is random" in text
    assert "Together they reach 2.500 ± 0.040 nats, 98 % of the excess." in text
    assert "∅ VOID: loss &lt; 9.380 nats" in text and "measures the data" in text


def test_it_says_how_to_reproduce(record: Record) -> None:
    text = report_markdown(record, None)
    assert "python -m diag test --checkpoint demo/checkpoints/tied --shard demo/shards/healthy --batches 16" in text
    assert "--claimed-loss 19.8 --claimed-unit nats --gate-below 9.38" in text
    assert "bb22" in text and "cc33" in text and "2.13.0" in text and "docs/verdicts.md" in text


def test_without_an_address_it_says_who_can_open_the_link(record: Record) -> None:
    text = report_markdown(record, None)
    assert "only on the machine that made the record" in text and f"{record.id}.json" in text


def test_a_reading_has_a_report_too() -> None:
    text = report_markdown(record_of(reading(), kind="measure"), None)
    assert "Loss 0.000758 ± 1 × 10⁻⁵ nats, no better than the unigram" in text and "python -m diag forward" in text
    assert "--gate-below" not in text and "## Findings" not in text
    assert "| data | ✕ degenerate | Two distinct ids. |" in text and "| head and embedding | ✓ tied absent" in text
    assert "Loss not computed (n" in report_markdown(record_of(reading(None), kind="measure"), None)


def test_what_could_not_be_computed_is_said() -> None:
    text = report_markdown(record_of(diagnosis(broken(None, gate=None), joint=None)), None)
    assert "Loss not computed" in text and "No gate was given" in text


NASTY = (
    "<script>alert(1)</script> @someone | a `code` ![x](http://evil.example/x.png) #12 www.evil.example **b** $x$ \n# T"
)


def test_nothing_a_record_holds_becomes_markup() -> None:
    repair = RepairResult(NASTY, 1.0, 1.0, 0.1, 0.5)
    finding = Finding("H4A", "confirmed", Signature(True, NASTY), (repair,), NASTY)
    bad = diagnosis(conclusion=Conclusion("explained", (NASTY,), NASTY), findings=(finding,), notes=(NASTY,))
    case = Case(NASTY, "```\n@someone", claim=Claim(19.8))
    inputs = {"shard": {"name": NASTY}, "checkpoint": {"name": NASTY, "fingerprint": NASTY}}
    text = report_markdown(record_of(bad, case=case, inputs=inputs, thresholds={NASTY: NASTY}), None)
    outside = re.sub(r"^(`{3,})sh\n.*?\n\1$", "", text, flags=re.M | re.S)
    assert "<script" not in outside and "@someone" not in outside and "http://" not in outside
    assert "www.evil" not in outside and "#12" not in outside
    assert re.search(r"(?<!\\)[`|]", re.sub(r"^\|.*\|$|^# .*$", "", outside, flags=re.M)) is None
    assert text.count("\n````sh\n") == 1 and text.count("\n````\n") == 1
    heads = [line for line in outside.splitlines() if line.startswith("| H4A")]
    assert len(re.findall(r"(?<!\\)\|", heads[0])) == 8


def test_the_report_fits_into_a_comment() -> None:
    for filler in ("<" * 5000, "é" * 5000, "🙂" * 5000, "a|b" * 2000):
        repair = RepairResult(filler, 1.0, 1.0, 0.1, 0.5)
        findings = tuple(
            Finding(f"H{i}", "confirmed", Signature(True, filler), (repair,), filler, would_decide=filler)
            for i in range(100)
        )
        record = record_of(
            diagnosis(findings=findings, notes=(filler,) * 100, conclusion=Conclusion("explained", (), filler)),
            thresholds={f"{i}{filler}": filler for i in range(100)},
        )
        text = report_markdown(record, None)
        assert len(text) <= MAX_REPORT and len(text.encode()) <= MAX_REPORT
        assert "## Conclusion" in text and "## Permanent link" in text and "Left out" in text


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_escaped_text_is_one_line_without_live_characters(text: str) -> None:
    safe = escape(text)
    assert "\n" not in safe and "\r" not in safe and "<" not in safe
    assert not re.match(r"\s*([-+=#]|\d+[.)])(\s|$)", safe)
    assert not re.search(r"@\w|(?<!\\)(?:\\\\)*[`|]", safe)
