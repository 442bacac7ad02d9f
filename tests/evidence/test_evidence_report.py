"""A report says the conclusion first, and nothing a record holds can act in it."""

from __future__ import annotations

import math
import re

from evidence_samples import broken, diagnosis, reading, record_of
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.case import Case
from diag.evidence.records import Record
from diag.report.markdown import MAX_REPORT, escape, report_markdown
from diag.report.ruler_text import WIDTH, ruler_text
from diag.results.diagnosis import Conclusion, Fix
from diag.results.finding import Finding, RepairResult, Signature
from diag.results.ruler import Ruler
from diag.units import Claim


def test_the_conclusion_comes_first_and_the_link_last(record: Record) -> None:
    text = report_markdown(record, "https://box.example/sub/")
    assert text.startswith(
        "### ◆ Explained (H4A tied weights): tied on healthy\n\nThe head never received the embedding"
    )
    assert text.endswith(f"Record: <https://box.example/sub/r/{record.id}>\n")
    assert "n = 2,048 tokens" in text and "█ worse than chance" in text
    assert text.index("#### What to do") < text.index("<details>") < text.index("python -m diag test")


def test_what_to_do_is_the_change_or_what_would_decide() -> None:
    tensors = ", ".join(f"model.layers.{i}.mlp.up_proj.weight" for i in range(4))
    fix = (Fix("tensor", tensors, "The buffers are read column by column."), Fix("config", "config.json: eps", "1 → 2"))
    text = report_markdown(record_of(diagnosis(conclusion=Conclusion("explained", ("H4B",), "", fix))), None)
    assert "- model.layers.{0…3}.mlp.up\\_proj.weight: The buffers are read column by column." in text
    assert "- config.json: eps: 1 → 2" in text
    open_one = Finding("H4B", "inconclusive", Signature(True, ""), would_decide="Pick a reference.")
    text = report_markdown(record_of(diagnosis(findings=(open_one,), conclusion=Conclusion("suspect", ("H4B",), ""))))
    assert "- H4B: Pick a reference." in text and "beside a sound copy" in text
    assert "- Test every hypothesis" in report_markdown(record_of(reading(), kind="measure"))


def test_the_ruler_in_characters_has_every_mark_at_its_place() -> None:
    lines = ruler_text(Ruler(11.93, 5.14, 2.1, 4.4), [("as loaded", 19.8), ("repaired", 2.5)]).splitlines()
    band, rows = lines[1], [re.sub("[│ ]", "", line) for line in lines[2:8]]
    marks = ["◆asloaded19.800", "└chance11.930", "└unigram5.140", "└bigram4.400", "◆repaired2.500", "└reference2.100"]
    assert rows == marks
    assert len(band) == WIDTH and list(dict.fromkeys(band)) == list("·─░▒▓█")
    at = lines[2].index("◆")
    assert at == int(19.8 / (1.06 * 19.8) * WIDTH) and band[at] == "█"
    far = ruler_text(Ruler(11.93, 5.14), [("as loaded", 500.0)])
    assert "500.000 →" in far and "as loaded: not finite" in ruler_text(Ruler(8.3, 5.0), [("as loaded", math.nan)])


def test_the_ruler_is_in_nats_bits_and_perplexity_lowest_first(record: Record) -> None:
    text = report_markdown(record, None)
    names = ["as loaded", "repaired", "reference", "unigram", "chance, ln V"]
    rows = re.findall(rf"^\| ({'|'.join(names)}) \| (\S+)[ ±0-9.]* \| (\S+) \|", text, re.M)
    assert [row[0] for row in rows] == names
    assert rows[4] == ("chance, ln V", "11.930", "17.211")
    assert "| claimed (19.8 nats) | 19.800 |" in text


def test_the_ruler_has_the_bigram_where_the_record_has_them(record: Record) -> None:
    text = report_markdown(record_of(diagnosis(broken(bigram=4.4))), None)
    assert "| bigram, held out | 4.400 | 6.348 |" in text
    assert "bigram, held out" not in report_markdown(record, None)


def test_the_findings_and_the_joint_set_have_their_numbers(record: Record) -> None:
    text = report_markdown(record, None)
    assert "| H4A | ● confirmed | tie\\_head | 2.500 | 17.300 ± 0.040 | – | 98 % |" in text
    assert "| H4C | ✓ refuted | – | – | – | – | – |" in text
    assert "● H4A confirmed: " in text and "Seen: head is random" in text
    assert "It reaches 2.500 nats, 98 % of the excess (the gain ± 0.040)." in text
    assert "∅ VOID: loss &lt; 9.380 nats" in text and "measures the data" in text


def test_it_says_how_to_reproduce(record: Record) -> None:
    text = report_markdown(record, None)
    assert "CHECKPOINT=demo/checkpoints/tied  # bb22\nSHARD=demo/shards/healthy  # aa11\n" in text
    assert 'python -m diag test H4A H4C --checkpoint "$CHECKPOINT" --shard "$SHARD" --batches 16' in text
    assert "--claimed-loss 19.8 --claimed-unit nats --gate-below 9.38" in text
    assert "bb22" in text and "cc33" in text and "2.13.0" in text and "docs/verdicts.md" in text


def test_without_an_address_it_says_who_can_open_the_link(record: Record) -> None:
    text = report_markdown(record, None)
    assert "only on the machine that made the record" in text and f"{record.id}.json" in text


def test_a_reading_has_a_report_too() -> None:
    text = report_markdown(record_of(reading(), kind="measure"), None)
    assert text.startswith("### ! No better than the unigram: tied on healthy") and "python -m diag forward" in text
    assert "| as loaded | 0.000758 ± 1 × 10⁻⁵ |" in text and "∅ VOID" in text
    assert "--gate-below" not in text and "<summary>Findings" not in text
    assert "| data | ✕ degenerate | Two distinct ids. |" in text and "| head and embedding | ✓ tied absent" in text
    assert report_markdown(record_of(reading(None), kind="measure")).startswith("### ✕ No loss: tied on healthy")


def test_what_could_not_be_computed_is_said() -> None:
    text = report_markdown(record_of(diagnosis(broken(None, gate=None), joint=None)), None)
    assert "as loaded" not in text and "Gate" not in text


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
    outside = re.sub(r"^(`{3,})(sh|text)\n.*?\n\1$", "", text, flags=re.M | re.S)
    assert "<script" not in outside and "@someone" not in outside and "http://" not in outside
    assert "www.evil" not in outside and "#12" not in outside
    assert re.search(r"(?<!\\)[`|]", re.sub(r"^\|.*\|$", "", outside, flags=re.M)) is None
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
        assert text.startswith("### ◆ Explained") and "works only on the machine" in text and "Left out" in text


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_escaped_text_is_one_line_without_live_characters(text: str) -> None:
    safe = escape(text)
    assert "\n" not in safe and "\r" not in safe and "<" not in safe
    assert not re.match(r"\s*([-+=#]|\d+[.)])(\s|$)", safe)
    assert not re.search(r"@\w|(?<!\\)(?:\\\\)*[`|]", safe)
