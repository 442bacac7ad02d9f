"""The shard page as a reviewer opens it: a link that compares two shards and reads a span of one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from browser_server import Server, Watched, start_server, stop_server
from playwright.sync_api import Locator, Page, expect

from diag.demo.build import DEFAULT_DIR

CASE = {
    "shard": "demo/shards/stdlib-unk",
    "checkpoint": "demo/checkpoints/healthy",
    "window": "4x4x256",
    "gate_below": "9.38",
}


@pytest.fixture(scope="module")
def leaky(demo: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose roots hold a validation set that stands in the demo's shard, from its id 500,000 on."""
    base = tmp_path_factory.mktemp("leaky")
    (base / "roots" / "leaked").mkdir(parents=True)
    ids = np.fromfile(sorted((DEFAULT_DIR / "shards" / "stdlib").glob("*.bin"))[0], dtype="<u4")
    ids[500_000:600_000].tofile(base / "roots" / "leaked" / "val.bin")
    server = start_server(base / "evidence", roots=str(base / "roots"))
    yield server
    stop_server(server)


def link(server: Server, **more: str) -> str:
    return f"{server.url}/shard?{urlencode({**CASE, **more})}"


def figure(page: Page, label: str) -> str:
    """A figure of the page: its value and the line below."""
    found = page.locator("[data-testid=stMetric]").filter(has=page.get_by_text(label, exact=True))
    return re.sub(r"\s+", " ", found.inner_text().removeprefix(label)).strip()


def unfold(page: Page, title: str) -> Locator:
    folded = page.locator("details").filter(has=page.locator("summary", has_text=title))
    folded.locator("summary").first.click()
    return folded


def read_out(page: Page) -> Locator:
    return page.locator(".readout")


def test_a_deep_link_compares_two_shards_and_reads_a_span(fresh: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(fresh).open(link(fresh, compare="demo/shards/stdlib", read="1000"))
    expect(page.get_by_text("degenerate", exact=False).first).to_be_visible()
    expect(page.get_by_text("gate VOID")).to_be_visible()
    expect(page.get_by_text("Whole shard against whole shard")).to_be_visible()
    expect(page.get_by_text(re.compile(r"The two differ by 0\.99\d\d bits"))).to_be_visible()
    expect(page.locator(".st-key-rank-frequency .legend .traces")).to_have_count(3)  # the band and two shards
    unfold(page, "How few ids make up the text")
    for chart in ("coverage", "document-lengths"):
        expect(page.locator(f".st-key-{chart} .legend .traces")).to_have_count(2)
    expect(page.get_by_text("Tokens 1,000 to 1,255 of 2,674,931")).to_be_visible()
    expect(read_out(page).locator(".unk")).to_have_count(256)
    assert read_out(page).locator(".unk").first.inner_text().split() == ["?", "<unk>", "0"]
    with page.expect_download() as started:
        page.locator(".st-key-download-comparison-CSV button").first.click()
    rows = list(csv.reader(io.StringIO(Path(started.value.path()).read_text())))
    table = {row[0]: row[1:] for row in rows}
    assert rows[0] == ["", "stdlib-unk", "stdlib"]
    assert table["Distinct tokens"] == ["2", "3,824"]
    assert table["Unk ratio"] == ["99.99%", "0.00%"]
    expect(page).to_have_url(re.compile(r"compare=demo%2Fshards%2Fstdlib.*"))


def test_the_figures_say_what_was_judged_and_what_was_not(shared: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(shared).open(link(shared, shard="demo/shards/stdlib"))
    assert figure(page, "Round trip").startswith("100 % of 5,9")
    assert re.match(r"2\.9 ± 0\.2 % of 12,\d{3} windows", figure(page, "Stands twice"))
    assert figure(page, "Documents") == "547 median 2,196 tokens"
    assert figure(page, "Entropy per token") == "6.715 nats 9.687 bits"
    bar = page.locator(".st-key-entropy")
    for words in ("held-out bigram", "unigram entropy", "9.687 bits", "uniform guess", "12.000 bits"):
        expect(bar.get_by_text(words, exact=True).first).to_be_visible()
    expect(bar.get_by_text("this model", exact=True)).to_have_count(0)  # nothing was measured here
    page = visitor(shared).open(link(shared))
    assert figure(page, "Round trip") == "not judged see below"
    expect(page.get_by_text("Round trip not judged: Only 0 ids could be tried; 256 are needed.")).to_be_visible()
    assert figure(page, "Stands twice") == "not judged too few windows"


def test_reading_on_changes_the_link_and_the_text(shared: Server, visitor: Callable[..., Watched]) -> None:
    someone = visitor(shared)
    page = someone.open(link(shared, shard="demo/shards/stdlib", read="1000"))
    before = read_out(page).inner_text()
    page.get_by_role("button", name="On", exact=True).click()
    expect(page.get_by_text("Tokens 1,256 to 1,511 of")).to_be_visible()
    expect(page).to_have_url(re.compile("read=1256"))
    assert read_out(page).inner_text() != before
    page.get_by_role("button", name="Longest run").click()
    expect(page.get_by_text(re.compile(r"Tokens 502,407 to"))).to_be_visible()
    assert read_out(page).locator("small").all_inner_texts()[:5] == ["778"] * 5
    copied = unfold(page, "The same to copy").locator("[data-testid=stCode]")
    assert re.findall(r"\d+", copied.inner_text().split("\n")[1])[:5] == ["778"] * 5


def test_the_keyboard_reaches_and_scrolls_the_read_out(shared: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(shared).open(link(shared, shard="demo/shards/stdlib"))
    page.get_by_role("button", name="Longest run").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="Tokens 0 to 255")).to_be_focused()
    page.keyboard.press("PageDown")
    page.wait_for_function("document.querySelector('.readout').scrollTop > 100")


def test_a_validation_set_in_the_train_set_is_named_and_both_places_open(
    leaky: Server, visitor: Callable[..., Watched]
) -> None:
    page = visitor(leaky).open(link(leaky, shard="roots/leaked/val.bin", compare="demo/shards/stdlib"))
    expect(page.get_by_text("suspect", exact=False).first).to_be_visible()
    expect(page.get_by_text(re.compile("100 % of this shard's sampled windows of 32 ids stand in"))).to_be_visible()
    assert figure(page, "Of val.bin, stands in stdlib").startswith("100 % of ")
    there = float(figure(page, "Of stdlib, stands in val.bin").split(" %")[0])
    assert 3.7 < there < 6  # 100,000 of 2,674,931 ids, and what else is alike
    buttons = page.locator("[class*=st-key-overlap-]").get_by_role("button")
    expect(buttons).to_have_count(10)
    page.locator(".st-key-overlap-2-a button").click()
    expect(page).to_have_url(re.compile(r"read=\d+"))
    at = int(re.search(r"read=(\d+)", page.url)[1])  # type: ignore[index]
    expect(page.get_by_text(f"Tokens {at:,} to ")).to_be_visible()
    here = read_out(page).locator("small").all_inner_texts()[:32]
    page.locator(".st-key-overlap-2-b button").click()
    expect(page.get_by_text(f"Tokens {at + 500_000:,} to ")).to_be_visible()  # the page has turned round
    expect(page).to_have_url(re.compile(r"compare=roots%2Fleaked%2Fval\.bin"))
    assert read_out(page).locator("small").all_inner_texts()[:32] == here


def test_a_bad_position_and_a_strange_shard_are_said(shared: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(shared).open(link(shared, compare="../etc/passwd", read="99999999999"))
    expect(page.get_by_text("The link compares with '../etc/passwd'")).to_be_visible()
    expect(page.get_by_text("The link asks for token '99999999999'.")).to_be_visible()
    expect(page.get_by_text("Tokens 0 to 255 of")).to_be_visible()
